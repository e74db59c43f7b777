use std::fmt;

use super::type_names;
use crate::Guid;

/// The type of a GPT partition.
///
/// ```
/// use vhd_mbr::partition::GptType;
///
/// assert_eq!(GptType::EFI_SYSTEM.name(), Some("EFI system"));
/// assert_eq!(GptType::EFI_SYSTEM.to_string(), "EFI system");
/// let own = GptType("11111111-2222-3333-4444-555555555555".parse()?);
/// assert_eq!(own.to_string(), "11111111-2222-3333-4444-555555555555");
/// # Ok::<(), vhd_mbr::ParseGuidError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GptType(
    /// The GUID as it stands in the table.
    pub Guid,
);

impl GptType {
    /// An unused entry.
    pub const UNUSED: Self = Self(Guid::NIL);
    /// The partition from which UEFI firmware starts.
    pub const EFI_SYSTEM: Self = Self(Guid::from_u128(0xc12a7328_f81f_11d2_ba4b_00a0c93ec93b));
    /// NTFS, FAT or exFAT of Windows; older Linux systems used it for their own data too.
    pub const MICROSOFT_BASIC_DATA: Self = Self(Guid::from_u128(0xebd0a0a2_b9e5_4433_87c0_68b6b72699c7));
    /// The space that Windows keeps for itself on every GPT disk; it holds no file system.
    pub const MICROSOFT_RESERVED: Self = Self(Guid::from_u128(0xe3c9e316_0b5c_4db8_817d_f92df00215ae));
    /// A Linux file system of any kind.
    pub const LINUX_FILE_SYSTEM: Self = Self(Guid::from_u128(0x0fc63daf_8483_4772_8e79_3d69d8477de4));
    /// Linux swap.
    pub const LINUX_SWAP: Self = Self(Guid::from_u128(0x0657fd6d_a4ab_43c4_84e5_0933c84b4f4f));
    /// A physical volume of Linux's LVM.
    pub const LINUX_LVM: Self = Self(Guid::from_u128(0xe6d6d379_f507_44c2_a23c_238f2a3df928));
    /// The space in which GRUB keeps its second stage for BIOS machines.
    pub const BIOS_BOOT: Self = Self(Guid::from_u128(0x21686148_6449_6e6f_744e_656564454649));

    /// What the type stands for, if it is known.
    pub fn name(self) -> Option<&'static str> {
        type_names::name(self.0.to_u128())
    }
}

impl fmt::Display for GptType {
    /// The name, or the GUID of a type without one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => self.0.fmt(f),
        }
    }
}
