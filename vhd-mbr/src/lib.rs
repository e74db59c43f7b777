//! vhd-mbr
