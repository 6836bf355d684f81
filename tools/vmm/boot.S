/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The boot sector of a disk that a virtual machine monitor took through /dev/iommu.
 * Has the firmware read the rest of the disk, which is DMA of that device into
 * memory of the guest, and says over the first serial port whether it is what
 * tools/vmm/run wrote. Then it ends the VM, with QEMU's isa-debug-exit.
 */
#define PIECES	4
#define SECTORS	64	/* of each piece: no more than a segment holds */
#define BUFFER	0x1000	/* its segment */
#define COM1	0x3f8
#define EXIT	0xf4

	.code16
	.globl	_start
_start:
	ljmp	$0, $begin
begin:
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %ss
	movw	$0x7c00, %sp
	movb	%dl, drive
	xorl	%ebx, %ebx
	movw	$PIECES, %bp
piece:
	movw	$packet, %si
	movb	drive, %dl
	movb	$0x42, %ah
	int	$0x13
	jc	unreadable

	movw	$BUFFER, %ax
	movw	%ax, %es
	xorw	%di, %di
	movw	$SECTORS * 512 / 4, %cx
word:
	roll	$1, %ebx
	addl	%es:(%di), %ebx
	addw	$4, %di
	loop	word
	addw	$SECTORS, block
	decw	%bp
	jnz	piece

	cmpl	wanted, %ebx
	jne	differs
	movw	$good, %si
	movb	$0, %bl
	jmp	end
unreadable:
	movw	$bad_read, %si
	jmp	failed
differs:
	movw	$bad_sum, %si
failed:
	movb	$1, %bl
end:
	movw	$COM1, %dx
character:
	lodsb
	testb	%al, %al
	jz	1f
	outb	%al, %dx
	jmp	character
1:
	movb	%bl, %al
	movw	$EXIT, %dx
	outb	%al, %dx
2:
	hlt
	jmp	2b

	.balign	4
packet:	.byte	16, 0
	.word	SECTORS
	.word	0, BUFFER
block:	.long	1, 0
drive:	.byte	0
good:	.asciz	"guest: booted from the disk, and all of it is right\r\n"
bad_read: .asciz "guest: the disk cannot be read\r\n"
bad_sum: .asciz	"guest: the disk is not what was written\r\n"

	/* tools/vmm/run knows where this is */
	.org	506
wanted:	.long	0
	.word	0xaa55
