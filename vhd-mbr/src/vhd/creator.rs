use std::fmt;

/// The program that made a VHD, as its four letters say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Creator(
    /// The letters.
    pub [u8; 4],
);

impl Creator {
    /// blktap, which keeps the disks of XenServer and XCP-ng.
    pub const TAP: Self = Self(*b"tap\0");
    /// xapi, in the disks that it exports.
    pub const XAPI: Self = Self(*b"caml");
    /// Virtual PC.
    pub const VIRTUAL_PC: Self = Self(*b"vpc ");
    /// Windows and Hyper-V.
    pub const WINDOWS: Self = Self(*b"win ");
    /// qemu, in disks sized by their geometry.
    pub const QEMU: Self = Self(*b"qemu");
    /// qemu, in disks of an exact size.
    pub const QEMU_EXACT: Self = Self(*b"qem2");

    /// Whether qemu sizes the disk by its geometry, and so cuts off its end. Version 10 does that to disks of Virtual PC
    /// and its own old ones; versions before it to those of every creator but five (block/vpc.c), which is what this
    /// tells.
    pub fn is_sized_by_geometry_in_qemu(self) -> bool {
        ![b"win ", b"qem2", b"d2v ", b"tap\0", b"CTXS"].contains(&&self.0)
    }

    /// Whether it is blktap, whose extensions only then mean what they seem to.
    pub(super) fn is_tap(self) -> bool {
        self.0.starts_with(b"tap")
    }
}

impl fmt::Display for Creator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Self::TAP => "blktap",
            Self::XAPI => "xapi",
            Self::VIRTUAL_PC => "Virtual PC",
            Self::WINDOWS => "Windows",
            Self::QEMU | Self::QEMU_EXACT => "qemu",
            Self(letters) => return f.pad(&letters.escape_ascii().to_string()),
        };
        f.pad(name)
    }
}
