# SPDX-License-Identifier: GPL-2.0-only
#
# What "make" offers in this repository outside a kernel tree. The work is done
# by the scripts in tools/, which can be called directly just as well.

repo := $(patsubst %/tools/,%,$(dir $(realpath $(lastword $(MAKEFILE_LIST)))))
tools := $(repo)/tools

export OPS SEED FILE SECONDS
export IOMMU KREL KERNEL KVER KERNEL_SRC IOMMUFD_BUILD IOMMUFD_CCACHE JOBS
CONFIG ?= release

define help
iommufd: the Linux I/O address-space subsystem behind /dev/iommu

  make modules /dev/iommu for Debian's own kernel: the running one, or another
               KREL=7.3.4+deb13-amd64
  make deb     the same as a package, which builds them for each new kernel
  make demo    a device does DMA through /dev/iommu, in a VM, and is stopped
               IOMMU=intel (default) amd smmuv3 virtio riscv
               KERNEL=stock (default) is Debian's own kernel, KERNEL=built is
               built from sources
  make demo-vmm QEMU boots a guest from a disk that it has through /dev/iommu
  make check   everything: style, static checks, unit tests, tests in a VM
               STAGE='static debug real demo clients' picks stages; 64k, builds,
               all-clients, coverage, debian, native, nesting, pasid, races and
               viommu run when they are named (see tools/check), TESTS='ioas map'
               picks test programs
  make coverage
               which lines and branches of our files the tests execute;
               a report is left in build/coverage/html
  make mutate  breaks the code in one place after another, and sees who notices
  make fuzz    random operations against a model of the contract, until one fails
               OPS=1000000 SEED=1, FILE=... repeats what a report has printed
  make soak    two devices do DMA while all else changes, for SECONDS=3600
  make docs    the documents as HTML, in build/docs
  make bench   measures cost in guest instructions
  make profile tells which functions they go to, for small maps and unmaps
               THAN=build/bench/intel-profile.csv compares with a former run
  make shell   an interactive shell in the VM
               CONFIG=release (default) debug arm64, IOMMU=as above
  make tool    builds the command "iommufd", build/iommufd/iommufd
  make kernel  builds the kernel, CONFIG=as above
  make fetch   only fetches the kernel sources
  make clean   deletes build/, where everything fetched and built is

  KERNEL_SRC=/path/to/linux uses that source tree (and never writes to it)
  KVER=7.2                  uses that version (default 7.3)
  IOMMUFD_BUILD=/directory  in place of build/
  IOMMUFD_CCACHE=/directory keeps the compiler cache there
  JOBS=N                    compiler processes (default: one per CPU)
endef
export help

help:
	@echo "$$help"

modules:
	@$(tools)/debian/modules

deb:
	@$(tools)/debian/deb

demo:
	@$(tools)/demo/run

demo-vmm:
	@$(tools)/vmm/run

check:
	@$(tools)/check $(STAGE) $(if $(TESTS),--tests "$(TESTS)")

coverage fuzz soak:
	@$(tools)/check $@

docs:
	@$(tools)/docs

mutate:
	@$(tools)/mutate/run

bench:
	@$(tools)/bench/run

profile:
	@$(tools)/bench/run profile $(if $(THAN),than "$(THAN)")

shell:
	@$(tools)/vm/run --shell $(CONFIG)

tool:
	@$(MAKE) -s -C $(tools)/iommufd O=$(or $(IOMMUFD_BUILD),$(repo)/build)/iommufd

kernel:
	@$(tools)/vm/build $(CONFIG)

fetch:
	@$(tools)/vm/fetch linux

clean:
	rm -rf $(or $(IOMMUFD_BUILD),$(repo)/build)

.DEFAULT_GOAL := help
.PHONY: help modules deb demo demo-vmm check coverage fuzz soak mutate docs bench \
	profile shell tool kernel fetch clean
