// SPDX-License-Identifier: GPL-2.0-only
/*
 * vDPA devices for user space, with their memory from iommufd: what vhost-vdpa would
 * be with it. This is the front end, a vDPA driver with a file for each device. How
 * the device gets to memory is the matter of a back end: vdpa_hardware.c for those
 * that do DMA through an IOMMU, vdpa_software.c for those that translate by
 * themselves.
 *
 * A device can go at any time, and does not wait for its user to let go: what the
 * user began ends, and then all ioctls give ENODEV. Whichever comes first of that
 * and the end of the file does the cleaning up.
 */
#include <linux/eventfd.h>
#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/virtio_config.h>
#include <linux/wait.h>

#include "vdpa_backend.h"

/**
 * struct front - a vDPA device and its file
 * @misc: the file's node, while there is a device
 * @name: of the node
 * @kref: the driver has one, and so has the open file
 * @lock: protects what follows; ioctls and the removal hold it
 * @vdpa: the device, or NULL once it has gone
 * @backend: while it is bound to an iommufd, otherwise NULL
 * @calls: for each queue what to signal, or NULL
 * @nvqs: number of queues
 * @open: there is an open file
 * @gone: who polls waits here for the device to go
 */
struct front {
	struct miscdevice misc;
	char name[64];
	struct kref kref;
	struct mutex lock; /* see above */
	struct vdpa_device *vdpa;
	struct vdpa_backend *backend;
	struct eventfd_ctx **calls;
	u32 nvqs;
	bool open;
	wait_queue_head_t gone;
};

static void front_free(struct kref *kref)
{
	struct front *front = container_of(kref, struct front, kref);

	mutex_destroy(&front->lock);
	kfree(front->calls);
	kfree(front);
}

static bool front_runs(struct front *front)
{
	struct vdpa_device *vdpa = front->vdpa;

	return vdpa->config->get_status(vdpa) & VIRTIO_CONFIG_S_DRIVER_OK;
}

/* Runs in the interrupt of the device, or what it has instead */
static irqreturn_t front_call(void *data)
{
	eventfd_signal(data);
	return IRQ_HANDLED;
}

/* The device does not run, so that nobody signals the old one now */
static void front_set_call(struct front *front, u32 queue,
			   struct eventfd_ctx *call)
{
	struct vdpa_callback cb = {
		.callback = call ? front_call : NULL,
		.private = call,
		.trigger = call,
	};

	front->vdpa->config->set_vq_cb(front->vdpa, queue, &cb);
	if (front->calls[queue])
		eventfd_ctx_put(front->calls[queue]);
	front->calls[queue] = call;
}

/* When it returns the device has finished with memory and with eventfds */
static int front_reset(struct front *front)
{
	int rc;

	mutex_lock(&front->backend->lock);
	rc = vdpa_reset(front->vdpa, 0);
	mutex_unlock(&front->backend->lock);
	for (u32 i = 0; i != front->nvqs; i++)
		front_set_call(front, i, NULL);
	return rc;
}

static void front_detach(struct front *front)
{
	if (front->backend->attached)
		front->backend->ops->detach(front->backend);
	front->backend->attached = false;
}

/* All that the user had, in the order that leaves the device nothing to use */
static void front_unbind(struct front *front)
{
	lockdep_assert_held(&front->lock);

	if (!front->backend)
		return;
	front_reset(front);
	front_detach(front);
	front->backend->ops->unbind(front->backend);
	front->backend = NULL;
}

static struct vdpa_backend *backend_bind(struct vdpa_device *vdpa, int fd)
{
	struct vdpa_backend *backend;
	struct iommufd_ctx *ictx;
	int rc;

	ictx = iommufd_ctx_from_fd(fd);
	if (IS_ERR(ictx))
		return ERR_CAST(ictx);
	/* What the last user began does not go on in the memory of this one */
	rc = vdpa_reset(vdpa, 0);
	if (rc)
		backend = ERR_PTR(rc);
	else if (vdpa->config->dma_map || vdpa->config->set_map)
		backend = vdpa_software_bind(vdpa, ictx);
	else
		backend = vdpa_hardware_bind(vdpa, ictx);
	/* What is bound holds the context by itself */
	iommufd_ctx_put(ictx);
	return backend;
}

static int front_bind(struct front *front,
		      struct vdpa_iommufd_bind __user *arg)
{
	struct vdpa_iommufd_bind bind;
	struct vdpa_backend *backend;

	if (copy_from_user(&bind, arg, sizeof(bind)))
		return -EFAULT;
	if (front->backend)
		return -EINVAL;
	backend = backend_bind(front->vdpa, bind.iommufd);
	if (IS_ERR(backend))
		return PTR_ERR(backend);
	front->backend = backend;
	bind.out_id = backend->id;
	bind.out_flags = backend->ops->pin ? VDPA_IOMMUFD_SOFTWARE : 0;
	if (copy_to_user(arg, &bind, sizeof(bind))) {
		front_unbind(front);
		return -EFAULT;
	}
	return 0;
}

static int front_attach(struct front *front, u32 __user *arg)
{
	struct vdpa_backend *backend = front->backend;
	u32 pt;
	int rc;

	if (get_user(pt, arg))
		return -EFAULT;
	rc = backend->ops->attach(backend, &pt);
	if (rc)
		return rc;
	backend->attached = true;
	return put_user(pt, arg);
}

static int front_pin(struct front *front,
		     const struct vdpa_iommufd_pin __user *arg)
{
	struct vdpa_backend *backend = front->backend;
	struct vdpa_iommufd_pin range;

	if (copy_from_user(&range, arg, sizeof(range)))
		return -EFAULT;
	if (!backend->ops->pin || range.__reserved ||
	    range.flags & ~VDPA_IOMMUFD_PIN_WRITEABLE)
		return -EOPNOTSUPP;
	return backend->ops->pin(backend, &range);
}

static int front_get_status(struct front *front, u8 __user *arg)
{
	return put_user(front->vdpa->config->get_status(front->vdpa), arg);
}

static int front_set_status(struct front *front, const u8 __user *arg)
{
	struct vdpa_device *vdpa = front->vdpa;
	u8 status;

	if (get_user(status, arg))
		return -EFAULT;
	if (!status)
		return front_reset(front);
	guard(mutex)(&front->backend->lock);
	/* Only a reset takes anything back */
	if (vdpa->config->get_status(vdpa) & ~status)
		return -EINVAL;
	/*
	 * A device that starts asks for its interrupts, which have their place in
	 * the page table where messages are translated.
	 */
	if (status & VIRTIO_CONFIG_S_DRIVER_OK && !front->backend->attached)
		return -EINVAL;
	vdpa_set_status(vdpa, status);
	return 0;
}

static int front_get_features(struct front *front, u64 __user *arg)
{
	struct vdpa_device *vdpa = front->vdpa;
	u64 features = vdpa->config->get_device_features(vdpa);

	return copy_to_user(arg, &features, sizeof(features)) ? -EFAULT : 0;
}

static int front_set_features(struct front *front, const u64 __user *arg)
{
	struct vdpa_device *vdpa = front->vdpa;
	u64 features;

	if (copy_from_user(&features, arg, sizeof(features)))
		return -EFAULT;
	if (vdpa->config->get_status(vdpa) & VIRTIO_CONFIG_S_FEATURES_OK)
		return -EBUSY;
	if (features & ~vdpa->config->get_device_features(vdpa))
		return -EINVAL;
	/* Its addresses are IOVAs */
	if (!(features & BIT_ULL(VIRTIO_F_ACCESS_PLATFORM)))
		return -EINVAL;
	return vdpa_set_features(vdpa, features);
}

static int front_get_config(struct front *front,
			    struct vhost_vdpa_config __user *arg)
{
	struct vdpa_device *vdpa = front->vdpa;
	size_t size = vdpa->config->get_config_size(vdpa);
	struct vhost_vdpa_config config;
	void *data;
	int rc;

	if (copy_from_user(&config, arg, sizeof(config)))
		return -EFAULT;
	if (!config.len || config.off > size || config.len > size - config.off)
		return -EINVAL;
	data = kzalloc(config.len, GFP_KERNEL_ACCOUNT);
	if (!data)
		return -ENOMEM;
	vdpa_get_config(vdpa, config.off, data, config.len);
	rc = copy_to_user(arg->buf, data, config.len) ? -EFAULT : 0;
	kfree(data);
	return rc;
}

/* The queue with the number that the user gave, if there is one */
static int front_queue(struct front *front, u32 *queue)
{
	if (*queue >= front->nvqs)
		return -ENOBUFS;
	*queue = array_index_nospec(*queue, front->nvqs);
	return 0;
}

static int front_set_num(struct front *front,
			 const struct vhost_vring_state __user *arg)
{
	struct vdpa_device *vdpa = front->vdpa;
	struct vhost_vring_state state;

	if (copy_from_user(&state, arg, sizeof(state)))
		return -EFAULT;
	if (front_queue(front, &state.index))
		return -ENOBUFS;
	if (front_runs(front))
		return -EBUSY;
	if (!is_power_of_2(state.num) ||
	    state.num > vdpa->config->get_vq_num_max(vdpa))
		return -EINVAL;
	vdpa->config->set_vq_num(vdpa, state.index, state.num);
	return 0;
}

static int front_set_addr(struct front *front,
			  const struct vhost_vring_addr __user *arg)
{
	struct vdpa_device *vdpa = front->vdpa;
	struct vhost_vring_addr addr;

	if (copy_from_user(&addr, arg, sizeof(addr)))
		return -EFAULT;
	if (front_queue(front, &addr.index))
		return -ENOBUFS;
	if (addr.flags)
		return -EOPNOTSUPP;
	if (front_runs(front))
		return -EBUSY;
	return vdpa->config->set_vq_address(vdpa, addr.index,
					    addr.desc_user_addr,
					    addr.avail_user_addr,
					    addr.used_user_addr);
}

static int front_set_vring_call(struct front *front,
				const struct vhost_vring_file __user *arg)
{
	struct eventfd_ctx *call = NULL;
	struct vhost_vring_file file;

	if (copy_from_user(&file, arg, sizeof(file)))
		return -EFAULT;
	if (front_queue(front, &file.index))
		return -ENOBUFS;
	if (front_runs(front))
		return -EBUSY;
	if (file.fd != VHOST_FILE_UNBIND) {
		call = eventfd_ctx_fdget(file.fd);
		if (IS_ERR(call))
			return PTR_ERR(call);
	}
	front_set_call(front, file.index, call);
	return 0;
}

static int front_enable(struct front *front,
			const struct vhost_vring_state __user *arg)
{
	struct vdpa_device *vdpa = front->vdpa;
	struct vhost_vring_state state;

	if (copy_from_user(&state, arg, sizeof(state)))
		return -EFAULT;
	if (front_queue(front, &state.index))
		return -ENOBUFS;
	vdpa->config->set_vq_ready(vdpa, state.index, state.num);
	return 0;
}

static int front_kick(struct front *front, const u32 __user *arg)
{
	struct vdpa_device *vdpa = front->vdpa;
	u32 queue;

	if (get_user(queue, arg))
		return -EFAULT;
	if (front_queue(front, &queue))
		return -ENOBUFS;
	vdpa->config->kick_vq(vdpa, queue);
	return 0;
}

/* What vhost-vdpa has, too */
static long front_virtio_ioctl(struct front *front, unsigned int cmd,
			       void __user *arg)
{
	switch (cmd) {
	case VHOST_VDPA_GET_STATUS:
		return front_get_status(front, arg);
	case VHOST_VDPA_SET_STATUS:
		return front_set_status(front, arg);
	case VHOST_VDPA_GET_CONFIG:
		return front_get_config(front, arg);
	case VHOST_GET_FEATURES:
		return front_get_features(front, arg);
	case VHOST_SET_FEATURES:
		return front_set_features(front, arg);
	case VHOST_SET_VRING_NUM:
		return front_set_num(front, arg);
	case VHOST_SET_VRING_ADDR:
		return front_set_addr(front, arg);
	case VHOST_SET_VRING_CALL:
		return front_set_vring_call(front, arg);
	case VHOST_VDPA_SET_VRING_ENABLE:
		return front_enable(front, arg);
	default:
		return -ENOTTY;
	}
}

static long front_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct front *front = file->private_data;
	void __user *uarg = (void __user *)arg;

	guard(mutex)(&front->lock);
	if (!front->vdpa)
		return -ENODEV;
	if (cmd == VDPA_IOMMUFD_BIND)
		return front_bind(front, uarg);
	/* Nothing of the device is the user's before its DMA is */
	if (!front->backend)
		return -EINVAL;
	switch (cmd) {
	case VDPA_IOMMUFD_ATTACH:
		return front_attach(front, uarg);
	case VDPA_IOMMUFD_DETACH:
		front_detach(front);
		return 0;
	case VDPA_IOMMUFD_PIN:
		return front_pin(front, uarg);
	case VDPA_IOMMUFD_KICK:
		return front_kick(front, uarg);
	default:
		return front_virtio_ioctl(front, cmd, uarg);
	}
}

static __poll_t front_poll(struct file *file, struct poll_table_struct *table)
{
	struct front *front = file->private_data;

	poll_wait(file, &front->gone, table);
	guard(mutex)(&front->lock);
	return front->vdpa ? 0 : EPOLLHUP | EPOLLERR;
}

/* The node exists, and so does the device, until this returns */
static int front_open(struct inode *inode, struct file *file)
{
	struct front *front =
		container_of(file->private_data, struct front, misc);

	guard(mutex)(&front->lock);
	if (front->open)
		return -EBUSY;
	front->open = true;
	kref_get(&front->kref);
	file->private_data = front;
	return 0;
}

static int front_release(struct inode *inode, struct file *file)
{
	struct front *front = file->private_data;

	scoped_guard(mutex, &front->lock) {
		front_unbind(front);
		front->open = false;
	}
	kref_put(&front->kref, front_free);
	return 0;
}

static const struct file_operations front_fops = {
	.owner = THIS_MODULE,
	.open = front_open,
	.release = front_release,
	.unlocked_ioctl = front_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.poll = front_poll,
};

static struct front *front_alloc(struct vdpa_device *vdpa)
{
	struct front *front = kzalloc_obj(*front);

	if (!front)
		return NULL;
	front->calls = kzalloc_objs(*front->calls, vdpa->nvqs);
	if (!front->calls) {
		kfree(front);
		return NULL;
	}
	kref_init(&front->kref);
	mutex_init(&front->lock);
	init_waitqueue_head(&front->gone);
	front->vdpa = vdpa;
	front->nvqs = vdpa->nvqs;
	snprintf(front->name, sizeof(front->name), "vdpa-iommufd-%s",
		 dev_name(&vdpa->dev));
	front->misc.name = front->name;
	front->misc.minor = MISC_DYNAMIC_MINOR;
	front->misc.fops = &front_fops;
	front->misc.parent = &vdpa->dev;
	return front;
}

static int front_probe(struct vdpa_device *vdpa)
{
	struct front *front = front_alloc(vdpa);
	int rc;

	if (!front)
		return -ENOMEM;
	rc = misc_register(&front->misc);
	if (rc)
		kref_put(&front->kref, front_free);
	else
		vdpa_set_drvdata(vdpa, front);
	return rc;
}

/* Whatever the user is at, the device is free when this returns */
static void front_remove(struct vdpa_device *vdpa)
{
	struct front *front = vdpa_get_drvdata(vdpa);

	misc_deregister(&front->misc);
	scoped_guard(mutex, &front->lock) {
		front_unbind(front);
		front->vdpa = NULL;
	}
	wake_up_all(&front->gone);
	kref_put(&front->kref, front_free);
}

static struct vdpa_driver front_driver = {
	.driver.name = "vdpa-iommufd",
	.probe = front_probe,
	.remove = front_remove,
};
module_vdpa_driver(front_driver);

MODULE_DESCRIPTION("vDPA devices with memory from iommufd");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("IOMMUFD");
