/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vDPA devices, made by netlink, and disks among them, driven through the files of
 * test_modules/vdpa_iommufd.ko. A function returns 0 or a positive errno unless it
 * says otherwise.
 */
#ifndef __VDPA_UTILS_H
#define __VDPA_UTILS_H

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/vdpa.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>

#include "iommu_utils.h"
#include "test_modules/vdpa_iommufd.h"

/* ------------------------------------------------- making and deleting devices */

struct genl_msg {
	struct nlmsghdr nlh;
	struct genlmsghdr genl;
	__u8 attrs[4000];
};

static inline void genl_begin(struct genl_msg *msg, __u16 family, __u8 cmd)
{
	*msg = (struct genl_msg){
		.nlh.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN),
		.nlh.nlmsg_type = family,
		.nlh.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
		.genl.cmd = cmd,
		.genl.version = 1,
	};
}

static inline void genl_string(struct genl_msg *msg, __u16 type,
			       const char *text)
{
	struct nlattr *attr = (void *)msg + NLMSG_ALIGN(msg->nlh.nlmsg_len);
	size_t len = strlen(text) + 1;

	attr->nla_type = type;
	attr->nla_len = NLA_HDRLEN + len;
	memcpy((void *)attr + NLA_HDRLEN, text, len);
	msg->nlh.nlmsg_len += NLA_ALIGN(attr->nla_len);
}

/* A 16-bit attribute of an answer; 0 without one */
static inline __u16 genl_number(const struct genl_msg *msg, __u16 type)
{
	const void *at = msg->attrs;
	const void *end = (const void *)msg + msg->nlh.nlmsg_len;

	while (at + NLA_HDRLEN <= end) {
		const struct nlattr *attr = at;

		if (attr->nla_type == type)
			return *(const __u16 *)(at + NLA_HDRLEN);
		if (attr->nla_len < NLA_HDRLEN)
			break;
		at += NLA_ALIGN(attr->nla_len);
	}
	return 0;
}

/* Sends it, and waits until all is done; what came before, if anything did */
static inline int genl_talk(int sock, const struct genl_msg *msg,
			    struct genl_msg *answer)
{
	struct genl_msg reply;
	const struct nlmsgerr *err = NLMSG_DATA(&reply.nlh);

	if (send(sock, msg, msg->nlh.nlmsg_len, 0) < 0)
		return errno;
	for (;;) {
		if (recv(sock, &reply, sizeof(reply), 0) < 0)
			return errno;
		if (reply.nlh.nlmsg_type == NLMSG_ERROR)
			return -err->error;
		if (answer)
			*answer = reply;
	}
}

/* The number that the kernel has for vDPA's commands, or 0 */
static inline __u16 vdpa_family(int sock)
{
	struct genl_msg msg, answer = {};

	genl_begin(&msg, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	genl_string(&msg, CTRL_ATTR_FAMILY_NAME, VDPA_GENL_NAME);
	if (genl_talk(sock, &msg, &answer))
		return 0;
	return genl_number(&answer, CTRL_ATTR_FAMILY_ID);
}

static inline int vdpa_command(__u8 cmd, const char *name, const char *bus,
			       const char *parent)
{
	int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	struct genl_msg msg;
	__u16 family;
	int rc;

	if (sock < 0)
		return errno;
	family = vdpa_family(sock);
	genl_begin(&msg, family, cmd);
	genl_string(&msg, VDPA_ATTR_DEV_NAME, name);
	if (bus)
		genl_string(&msg, VDPA_ATTR_MGMTDEV_BUS_NAME, bus);
	if (parent)
		genl_string(&msg, VDPA_ATTR_MGMTDEV_DEV_NAME, parent);
	rc = family ? genl_talk(sock, &msg, NULL) : EOPNOTSUPP;
	close(sock);
	return rc;
}

/* A device with that name, of a parent on @bus, or on none for NULL */
static inline int vdpa_add(const char *name, const char *bus,
			   const char *parent)
{
	return vdpa_command(VDPA_CMD_DEV_NEW, name, bus, parent);
}

static inline int vdpa_del(const char *name)
{
	return vdpa_command(VDPA_CMD_DEV_DEL, name, NULL, NULL);
}

/* The file of a device, or -1 with errno set */
static inline int vdpa_open(const char *name)
{
	char path[100];

	snprintf(path, sizeof(path), VDPA_IOMMUFD_NODE "%s", name);
	return open(path, O_RDWR | O_CLOEXEC);
}

/* -------------------------------------------------------------------- a disk */

#define SECTOR 512
#define VDPA_FEATURES (1ULL << VIRTIO_F_VERSION_1 | \
		       1ULL << VIRTIO_F_ACCESS_PLATFORM)
#define VDPA_STARTED (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | \
		      VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK)
#define RING_NUM 8

/*
 * The one virtqueue, with one request in it at a time: a page of memory that is
 * mapped for the device.
 */
struct disk_ring {
	struct vring_desc desc[RING_NUM];
	struct {
		__u16 flags, idx, ring[RING_NUM], event;
	} avail;
	struct {
		__u16 flags, idx;
		struct vring_used_elem ring[RING_NUM];
		__u16 event;
	} used __attribute__((aligned(4)));
	struct virtio_blk_outhdr header __attribute__((aligned(16)));
	__u8 status;
};

struct disk {
	int fd;			/* of the vDPA device, or -1 */
	int call;		/* the eventfd of its interrupt, or -1 */
	__u32 id;		/* in the iommufd */
	bool software;
	struct disk_ring *ring;	/* where the process has it, */
	__u64 ring_iova;	/* and where the device does */
};

static inline int disk_bind(struct disk *disk, int iommufd)
{
	struct vdpa_iommufd_bind bind = { .iommufd = iommufd };
	int rc = iommu_cmd(disk->fd, VDPA_IOMMUFD_BIND, &bind);

	disk->id = bind.out_id;
	disk->software = bind.out_flags & VDPA_IOMMUFD_SOFTWARE;
	return rc;
}

/* @pt is an input, and what the device is attached to afterwards */
static inline int disk_attach(struct disk *disk, __u32 *pt)
{
	return iommu_cmd(disk->fd, VDPA_IOMMUFD_ATTACH, pt);
}

static inline int disk_detach(struct disk *disk)
{
	return iommu_cmd(disk->fd, VDPA_IOMMUFD_DETACH, NULL);
}

static inline int disk_pin(struct disk *disk, __u64 iova, __u64 length,
			   __u32 flags)
{
	struct vdpa_iommufd_pin range = {
		.iova = iova,
		.length = length,
		.flags = flags,
	};

	return iommu_cmd(disk->fd, VDPA_IOMMUFD_PIN, &range);
}

/* Whatever it takes until the device can use what is mapped there */
static inline int disk_reach(struct disk *disk, __u64 iova, __u64 length)
{
	return disk->software ? disk_pin(disk, iova, length,
					 VDPA_IOMMUFD_PIN_WRITEABLE) : 0;
}

static inline int disk_set_status(struct disk *disk, __u8 status)
{
	return iommu_cmd(disk->fd, VHOST_VDPA_SET_STATUS, &status);
}

/* Its status, or -1 */
static inline int disk_status(struct disk *disk)
{
	__u8 status;

	return iommu_cmd(disk->fd, VHOST_VDPA_GET_STATUS, &status) ? -1 :
								     status;
}

static inline int disk_kick(struct disk *disk)
{
	return iommu_cmd(disk->fd, VDPA_IOMMUFD_KICK, &(__u32){ 0 });
}

static inline int disk_set_ring(struct disk *disk)
{
	struct vhost_vring_state state = { .num = RING_NUM };
	struct vhost_vring_file call = { .fd = disk->call };
	struct vhost_vring_addr addr = {
		.desc_user_addr = disk->ring_iova,
		.avail_user_addr = disk->ring_iova +
				   offsetof(struct disk_ring, avail),
		.used_user_addr = disk->ring_iova +
				  offsetof(struct disk_ring, used),
	};
	int rc;

	rc = iommu_cmd(disk->fd, VHOST_SET_VRING_NUM, &state);
	if (!rc)
		rc = iommu_cmd(disk->fd, VHOST_SET_VRING_ADDR, &addr);
	if (!rc)
		rc = iommu_cmd(disk->fd, VHOST_SET_VRING_CALL, &call);
	state.num = 1;
	if (!rc)
		rc = iommu_cmd(disk->fd, VHOST_VDPA_SET_VRING_ENABLE, &state);
	return rc;
}

/* From a reset on. The device is attached, and reaches the ring. */
static inline int disk_start(struct disk *disk)
{
	__u64 features = VDPA_FEATURES;
	int rc;

	memset(disk->ring, 0, sizeof(*disk->ring));
	rc = disk_set_status(disk, 0);
	if (!rc)
		rc = disk_set_status(disk, VIRTIO_CONFIG_S_ACKNOWLEDGE |
					   VIRTIO_CONFIG_S_DRIVER);
	if (!rc)
		rc = iommu_cmd(disk->fd, VHOST_SET_FEATURES, &features);
	if (!rc)
		rc = disk_set_status(disk, VDPA_STARTED &
					   ~VIRTIO_CONFIG_S_DRIVER_OK);
	if (!rc)
		rc = disk_set_ring(disk);
	if (!rc)
		rc = disk_set_status(disk, VDPA_STARTED);
	return rc;
}

/* Read from, or write to, that sector; from the end of one to its beginning */
static inline int disk_submit(struct disk *disk, bool write, __u64 sector,
			      __u64 iova, __u32 len)
{
	struct disk_ring *ring = disk->ring;

	ring->header = (struct virtio_blk_outhdr){
		.type = write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
		.sector = sector,
	};
	ring->status = 0xff;
	ring->desc[0] = (struct vring_desc){
		.addr = disk->ring_iova + offsetof(struct disk_ring, header),
		.len = sizeof(ring->header),
		.flags = VRING_DESC_F_NEXT,
		.next = 1,
	};
	ring->desc[1] = (struct vring_desc){
		.addr = iova,
		.len = len,
		.flags = VRING_DESC_F_NEXT | (write ? 0 : VRING_DESC_F_WRITE),
		.next = 2,
	};
	ring->desc[2] = (struct vring_desc){
		.addr = disk->ring_iova + offsetof(struct disk_ring, status),
		.len = 1,
		.flags = VRING_DESC_F_WRITE,
	};
	ring->avail.ring[ring->avail.idx % RING_NUM] = 0;
	__atomic_store_n(&ring->avail.idx, ring->avail.idx + 1,
			 __ATOMIC_RELEASE);
	return disk_kick(disk);
}

static inline bool disk_is_done(struct disk *disk)
{
	return __atomic_load_n(&disk->ring->used.idx, __ATOMIC_ACQUIRE) ==
	       disk->ring->avail.idx;
}

/* Until the interrupt that says so. Its status, or 0xff if that does not come. */
static inline __u8 disk_wait(struct disk *disk)
{
	struct pollfd pfd = { .fd = disk->call, .events = POLLIN };
	__u64 count;

	do {
		if (poll(&pfd, 1, 20000) != 1 ||
		    read(disk->call, &count, sizeof(count)) != sizeof(count))
			return 0xff;
	} while (!disk_is_done(disk));
	return disk->ring->status;
}

/* VIRTIO_BLK_S_OK and so on, or 0xff */
static inline __u8 disk_rw(struct disk *disk, bool write, __u64 sector,
			   __u64 iova, __u32 len)
{
	return disk_submit(disk, write, sector, iova, len) ? 0xff :
							     disk_wait(disk);
}

#endif
