# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What the scripts in tools/vm share: where things are, and how they speak.
# Every path under $build can be deleted at any time.

# shellcheck disable=SC2034  # used by the scripts that source this
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
build=${IOMMUFD_BUILD:-$repo/build}
kver=${KVER:-7.3}
suffix=
[ "$kver" = 7.3 ] || suffix=-$kver
tree=$build/tree$suffix
jobs=${JOBS:-$(nproc)}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# Everything the base kernel must not bring, since this repository does.
overlay_paths=(
	drivers/iommu/iommufd
	include/linux/iommufd.h
	include/uapi/linux/iommufd.h
	include/trace/events/iommufd.h
	Documentation/userspace-api/iommufd.rst
	Documentation/driver-api/iommufd.rst
	tools/testing/selftests/iommu
)

say()
{
	echo ">> $*" >&2
}

# die MESSAGE [REMEDY]
die()
{
	echo "${0##*/}: error: $1" >&2
	[ $# -lt 2 ] || echo "${0##*/}: remedy: $2" >&2
	exit 1
}

# in_vm COMMAND...: runs what boots a VM, and again if QEMU went wrong, which is
# not ours (tools/vm/run)
in_vm()
{
	local status=0

	"$@" || status=$?
	[ $status = 123 ] || return $status
	"$@"
}

# need_space MIB WHAT: nothing is worse than a build that stops half way
need_space()
{
	local free

	mkdir -p "$build" || die "cannot create $build" \
		"make it writable, or set IOMMUFD_BUILD=/some/directory"
	free=$(df -Pm "$build" | awk 'NR == 2 { print $4 }')
	[ "$free" -ge "$1" ] ||
		die "$2 needs $1 MiB under $build, only $free MiB are free" \
		    "free some space, or set IOMMUFD_BUILD=/some/directory"
}

# The Debian mirror of this machine: the first source whose release file says
# so; before any "apt-get update", the first that is not the security archive.
# shellcheck disable=SC2016  # the format is apt's
mirror()
{
	apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 2>/dev/null |
		awk -F'|' '$1 == "Debian" && $2 == "Debian" { print $3; exit }
			   $1 == "" && $3 !~ /security/ && !any { any = $3 }
			   END { if (any) print any }' | head -n 1
}

# need_mirror [REMEDY]: set uri to that mirror, whose packages $keyring vouches for.
# REMEDY is what helps, too.
need_mirror()
{
	[ -r "$keyring" ] ||
		die "this machine does not have Debian's archive keys" \
		    "install debian-archive-keyring${1:+, or $1}"
	uri=$(mirror)
	[ -n "$uri" ] ||
		die "apt on this machine knows no Debian mirror" \
		    "add one below /etc/apt${1:+, or $1}"
}

# make_disk FILE MIB: a disk whose content looks random, but is the same everywhere
make_disk()
{
	local size=$(($2 << 20))

	[[ ! -f $1 || $(stat -c %s "$1") != "$size" ]] || return 0
	say "making a disk of $2 MiB: $1"
	python3 - "$size" > "$1.new" <<-'END'
		import hashlib, sys
		stream = hashlib.shake_128(b'iommufd demo')
		sys.stdout.buffer.write(stream.digest(int(sys.argv[1])))
	END
	mv "$1.new" "$1"
}

# in_root DIRECTORY COMMAND...: in a root directory that tools/vm/root made, with
# nothing of the environment but what is given, and a /proc that goes with it
in_root()
{
	local root=$1
	shift

	# shellcheck disable=SC2016  # the inner shell expands them
	unshare --mount sh -c 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"' \
		"$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C "$@"
}

# kernel_for IOMMU: the kernel with that IOMMU, and the compiler for its programs
kernel_for()
{
	config=release arch=x86_64 cross=
	case $1 in
	intel|amd|virtio) ;;
	smmuv3)	config=arm64 arch=arm64 cross=aarch64-linux-gnu- ;;
	riscv)	config=riscv arch=riscv cross=riscv64-linux-gnu- ;;
	*)	die "there is no IOMMU '$1'" "choose intel, amd, smmuv3, virtio or riscv" ;;
	esac
}
