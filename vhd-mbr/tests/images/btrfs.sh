#!/bin/sh
# Makes btrfs.img.zst and btrfs-default.img.zst, which only Linux can: compressed files, subvolumes and snapshots.
# Needs root, loop devices, btrfs-progs and zstd. What is in the files is said again in ../volume_btrfs.rs.
set -eu
cd "$(dirname "$0")"
mount_point=$(mktemp -d)
trap 'umount -q "$mount_point" || true; rmdir "$mount_point"' EXIT

lines() { seq -f "line %.0f of $1" 1 "$2"; }

truncate -s 112M btrfs.img
mkfs.btrfs -q -f -L packed -U 6d9bb2a7-4f8c-4e8e-b8b5-1f3e6d6b4d11 btrfs.img
mount -o loop,noatime,compress=zstd btrfs.img "$mount_point"
(
    cd "$mount_point"
    for kind in zlib lzo zstd; do
        : >$kind
        btrfs property set $kind compression $kind
        lines $kind 20000 >>$kind
        sync
        # The middle of compressed extents, and a hole behind them.
        printf 'changed in the middle' | dd of=$kind bs=1 seek=150000 conv=notrunc status=none
        sync
        truncate -s 1000000 $kind
        : >tiny-$kind
        btrfs property set tiny-$kind compression $kind
        lines $kind 50 >>tiny-$kind
    done
    lines plain 2000 >uncompressed
    btrfs property set uncompressed compression none
    fallocate -l 200000 unwritten
    printf 'begun' | dd of=unwritten conv=notrunc status=none
    : >unchecked
    chattr +C unchecked
    lines unchecked 1000 >>unchecked
    # Two names with one hash.
    echo first >ccaoacux
    echo second >wcjifoae
    btrfs subvolume create sub
    echo 'in a subvolume' >sub/file
    btrfs subvolume create sub/nested
    echo 'in a nested one' >sub/nested/file
    btrfs subvolume snapshot -r sub snapshot
    echo 'later' >sub/file
)
umount "$mount_point"

truncate -s 112M btrfs-default.img
mkfs.btrfs -q -f -L default -U 6d9bb2a7-4f8c-4e8e-b8b5-1f3e6d6b4d12 btrfs-default.img
mount -o loop,noatime btrfs-default.img "$mount_point"
btrfs subvolume create "$mount_point/@"
echo 'the default' >"$mount_point/@/file"
echo 'outside' >"$mount_point/file"
btrfs subvolume set-default "$mount_point/@"
umount "$mount_point"

for image in btrfs btrfs-default; do
    zstd -q -19 --rm -f $image.img
done
