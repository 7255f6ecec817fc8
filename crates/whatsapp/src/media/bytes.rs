//! Reading numbers out of a file that may end anywhere.

/// A file that is not what it claims to be. `what` names the part; nothing of the contents is quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the file is broken: {what}")]
pub struct Broken {
    /// The part that is missing or makes no sense.
    pub what: &'static str,
}

pub(super) const fn broken(what: &'static str) -> Broken {
    Broken { what }
}

/// A view of bytes whose reads fail by name instead of panicking.
#[derive(Clone, Copy)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn slice(self, at: usize, length: usize, what: &'static str) -> Result<&'a [u8], Broken> {
        let end = at.checked_add(length).ok_or(broken(what))?;
        self.0.get(at..end).ok_or(broken(what))
    }

    pub(super) fn from(self, at: usize, what: &'static str) -> Result<Self, Broken> {
        self.0.get(at..).map(Self).ok_or(broken(what))
    }

    fn array<const N: usize>(self, at: usize, what: &'static str) -> Result<[u8; N], Broken> {
        let slice = self.slice(at, N, what)?;
        slice.try_into().map_err(|_| broken(what))
    }

    pub(super) fn u8(self, at: usize, what: &'static str) -> Result<u8, Broken> {
        Ok(self.array::<1>(at, what)?[0])
    }

    pub(super) fn be16(self, at: usize, what: &'static str) -> Result<u16, Broken> {
        Ok(u16::from_be_bytes(self.array(at, what)?))
    }

    pub(super) fn be32(self, at: usize, what: &'static str) -> Result<u32, Broken> {
        Ok(u32::from_be_bytes(self.array(at, what)?))
    }

    pub(super) fn be64(self, at: usize, what: &'static str) -> Result<u64, Broken> {
        Ok(u64::from_be_bytes(self.array(at, what)?))
    }

    pub(super) fn le16(self, at: usize, what: &'static str) -> Result<u16, Broken> {
        Ok(u16::from_le_bytes(self.array(at, what)?))
    }

    pub(super) fn le24(self, at: usize, what: &'static str) -> Result<u32, Broken> {
        let [a, b, c] = self.array(at, what)?;
        Ok(u32::from_le_bytes([a, b, c, 0]))
    }

    pub(super) fn le32(self, at: usize, what: &'static str) -> Result<u32, Broken> {
        Ok(u32::from_le_bytes(self.array(at, what)?))
    }

    pub(super) fn tag(self, at: usize, what: &'static str) -> Result<[u8; 4], Broken> {
        self.array(at, what)
    }
}
