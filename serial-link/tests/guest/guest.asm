; The guest of the tests: a boot sector that drives the first serial port: it sleeps while nothing comes in.
;
;   nasm -f bin -o guest.bin guest.asm
;
; It sends "READY" once, then obeys: each command is a letter and a number of 64 KiB units.
;
;   P n   answers "p" and n
;   F n   sends n units of the pattern
;   S n   receives n units, and answers "k", or "b" at the first byte that is not the pattern's
;
; The pattern is the exclusive or of the position's lowest three bytes. All the while, eighteen times in a second, it ticks
; on the debug console, port 0xe9, so that a VM that stands still is told from one that waits for its port.

        bits 16
        org 0x7c00

data    equ 0x3f8
causes  equ data + 1
fifo    equ data + 2
format  equ data + 3
modem   equ data + 4
line    equ data + 5
ready   equ 1
empty   equ 0x20
clock   equ 0x46c               ; the BIOS counts 18.2 Hz there

start:  xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, 0x7c00
        cld
        mov word [4 * 0x0c], interrupt
        mov [4 * 0x0c + 2], ax
        mov dx, format
        mov al, 0x83
        out dx, al
        mov dx, data
        mov al, 1               ; 115200: the port waits four bytes long before it tells of fewer than fourteen
        out dx, al
        mov dx, format
        mov al, 3
        out dx, al
        mov dx, fifo
        mov al, 0xc7            ; FIFOs on and empty
        out dx, al
        mov dx, modem
        mov al, 0x0b            ; interrupts go through
        out dx, al
        in al, 0x21
        and al, 0xef
        out 0x21, al
        mov si, hello
.next:  lodsb
        test al, al
        jz command
        call send
        jmp .next

command:
        mov al, 1
        call interrupts
        call receive
        mov bl, al
        call receive
        movzx esi, al
        mov bh, al
        shl esi, 16
        xor edi, edi
        cmp bl, 'P'
        je ping
        cmp bl, 'F'
        je flood
        cmp bl, 'S'
        je sink
        jmp command

ping:   mov al, 'p'
        call send
        mov al, bh
        call send
        jmp command

; Sixteen bytes fit into the empty FIFO, so the port is asked once for them.
flood:  xor al, al
        call interrupts
.unit:  cmp edi, esi
        je command
        call wait_empty
        mov bp, 16
.more:  call pattern
        mov dx, data
        out dx, al
        inc edi
        dec bp
        jnz .more
        jmp .unit

sink:   cmp edi, esi
        je .good
        call receive
        mov ah, al
        push ax
        call pattern
        pop cx
        cmp al, ch
        mov al, 'b'
        jne .say
        inc edi
        jmp sink
.good:  mov al, 'k'
.say:   call send
        jmp command

; al = what the port interrupts for
interrupts:
        mov dx, causes
        out dx, al
        ret

interrupt:
        push ax
        push dx
        mov dx, fifo
        in al, dx
        mov al, 0x20
        out 0x20, al
        pop dx
        pop ax
        iret

; al = the pattern at edi
pattern:
        mov eax, edi
        shr eax, 16
        mov cl, al
        mov eax, edi
        xor al, ah
        xor al, cl
        ret

; al = the next byte
receive:
        call tick
        mov dx, line
        cli
        in al, dx
        test al, ready
        jnz .there
        sti
        hlt                     ; sti holds interrupts off until here
        jmp receive
.there: sti
        mov dx, data
        in al, dx
        ret

; sends al
send:   push ax
        call wait_empty
        pop ax
        mov dx, data
        out dx, al
        ret

wait_empty:
        call tick
        mov dx, line
        in al, dx
        test al, empty
        jz wait_empty
        ret

tick:   mov al, [clock]
        cmp al, [last]
        je .done
        mov [last], al
        out 0xe9, al
.done:  ret

hello:  db "READY", 0
last:   db 0

        times 510 - ($ - $$) db 0
        dw 0xaa55
