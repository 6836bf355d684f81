// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/bench_floor, and a driver for the device whose I/O page table it uses.
 */
#include <linux/cleanup.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "floor.h"

/* One measurement at a time, and none while the device comes or goes */
static DEFINE_MUTEX(floor_lock);
static struct pci_dev *floor_device;

static int floor_measure(struct bench_floor *floor)
{
	struct floor_run *array __free(kvfree) = NULL;
	struct floor_runs runs;
	unsigned long repeat;
	int rc;

	if (!floor->npages || !PAGE_ALIGNED(floor->start))
		return -EINVAL;
	array = kvmalloc_array(floor->npages, sizeof(*array), GFP_KERNEL);
	if (!array)
		return -ENOMEM;
	runs.runs = array;

	guard(mutex)(&floor_lock);
	if (!floor_device)
		return -ENODEV;
	floor->pin_ticks = 0;
	floor->map_ticks = 0;
	floor->unmap_ticks = 0;
	floor->unpin_ticks = 0;
	for (repeat = 1; repeat < floor->repeat; repeat++) {
		rc = floor_pin(&runs, floor);
		if (rc)
			return rc;
		floor_unpin(&runs, floor);
	}
	rc = floor_pin(&runs, floor);
	if (rc)
		return rc;
	floor->nr_runs = runs.nr;
	rc = floor_map(&floor_device->dev, &runs, floor);
	floor_unpin(&runs, floor);
	return rc;
}

union floor_arg {
	struct bench_floor floor;
	struct bench_access access;
	struct bench_users users;
	struct bench_user_pin user_pin;
};

static int floor_command(unsigned int cmd, union floor_arg *arg)
{
	switch (cmd) {
	case BENCH_FLOOR:
		return floor_measure(&arg->floor);
	case BENCH_ACCESS:
		return floor_access(&arg->access);
	case BENCH_USERS:
		return floor_users(&arg->users);
	case BENCH_USER_PIN:
		return floor_user_pin(&arg->user_pin);
	default:
		return -ENOTTY;
	}
}

static long floor_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *user = (void __user *)arg;
	union floor_arg u;
	int rc;

	if (cmd == BENCH_NOTHING)
		return 0;
	if (_IOC_SIZE(cmd) > sizeof(u))
		return -ENOTTY;
	if (copy_from_user(&u, user, _IOC_SIZE(cmd)))
		return -EFAULT;
	rc = floor_command(cmd, &u);
	if (rc)
		return rc;
	return copy_to_user(user, &u, _IOC_SIZE(cmd)) ? -EFAULT : 0;
}

static int floor_release(struct inode *inode, struct file *file)
{
	struct bench_users none = {};

	return floor_users(&none);
}

static const struct file_operations floor_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = floor_ioctl,
	.release = floor_release,
};

static struct miscdevice floor_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "bench_floor",
	.fops = &floor_fops,
	.mode = 0600,
};

static int floor_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	guard(mutex)(&floor_lock);
	if (floor_device)
		return -EBUSY;
	floor_device = pdev;
	return 0;
}

static void floor_remove(struct pci_dev *pdev)
{
	guard(mutex)(&floor_lock);
	floor_device = NULL;
}

/* Takes what user space names by driver_override, nothing else */
static struct pci_driver floor_driver = {
	.name = "bench_floor",
	.probe = floor_probe,
	.remove = floor_remove,
	.driver_managed_dma = true,
};

static int __init floor_init(void)
{
	int rc;

	rc = pci_register_driver(&floor_driver);
	if (rc)
		return rc;
	rc = misc_register(&floor_misc);
	if (rc)
		pci_unregister_driver(&floor_driver);
	return rc;
}
module_init(floor_init);

static void __exit floor_exit(void)
{
	misc_deregister(&floor_misc);
	pci_unregister_driver(&floor_driver);
}
module_exit(floor_exit);

MODULE_DESCRIPTION("What mapping memory for a device costs at least");
MODULE_LICENSE("GPL");
