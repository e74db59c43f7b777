use std::fmt;

/// What the data of a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ValueType {
    /// `REG_NONE`: nothing is said of it.
    None,
    /// `REG_SZ`: text.
    String,
    /// `REG_EXPAND_SZ`: text with names of environment variables.
    ExpandString,
    /// `REG_BINARY`: bytes.
    Binary,
    /// `REG_DWORD`: a number of four bytes.
    U32,
    /// `REG_DWORD_BIG_ENDIAN`: the same, the highest byte first.
    U32BigEndian,
    /// `REG_LINK`: the path of another key.
    Link,
    /// `REG_MULTI_SZ`: several texts.
    MultiString,
    /// `REG_RESOURCE_LIST`: hardware that a driver uses.
    ResourceList,
    /// `REG_FULL_RESOURCE_DESCRIPTOR`: hardware that a device has.
    FullResourceDescriptor,
    /// `REG_RESOURCE_REQUIREMENTS_LIST`: hardware that a device can do with.
    ResourceRequirements,
    /// `REG_QWORD`: a number of eight bytes.
    U64,
    /// Another number, as some hives (`SAM`, properties of devices) have.
    Other(u32),
}

const KNOWN: [(ValueType, &str); 12] = [
    (ValueType::None, "REG_NONE"),
    (ValueType::String, "REG_SZ"),
    (ValueType::ExpandString, "REG_EXPAND_SZ"),
    (ValueType::Binary, "REG_BINARY"),
    (ValueType::U32, "REG_DWORD"),
    (ValueType::U32BigEndian, "REG_DWORD_BIG_ENDIAN"),
    (ValueType::Link, "REG_LINK"),
    (ValueType::MultiString, "REG_MULTI_SZ"),
    (ValueType::ResourceList, "REG_RESOURCE_LIST"),
    (ValueType::FullResourceDescriptor, "REG_FULL_RESOURCE_DESCRIPTOR"),
    (ValueType::ResourceRequirements, "REG_RESOURCE_REQUIREMENTS_LIST"),
    (ValueType::U64, "REG_QWORD"),
];

impl From<u32> for ValueType {
    fn from(number: u32) -> Self {
        KNOWN
            .get(number as usize)
            .map_or(Self::Other(number), |(kind, _)| *kind)
    }
}

impl fmt::Display for ValueType {
    /// The name that Windows has for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, KNOWN.iter().find(|(kind, _)| kind == self)) {
            (_, Some((_, name))) => f.write_str(name),
            (Self::Other(number), None) => write!(f, "of type {number:#x}"),
            (_, None) => Ok(()),
        }
    }
}
