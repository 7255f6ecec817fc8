//! Pages: by key, not by number, so that what is written meanwhile neither repeats nor hides a row.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use uuid::Uuid;

use crate::{error::QueryError, limits};

/// Which page is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// How many rows at most; 0 means [`limits::PAGE_ROWS_DEFAULT`], more than [`limits::PAGE_ROWS_MAX`] means that.
    pub size: u32,
    /// [`Paged::next`] of the page before; `None` or empty for the first.
    pub token: Option<String>,
}

/// A page of something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paged<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<String>,
}

/// The key of the last row of a page: a moment, an id and for some lists a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) at: i64,
    pub(crate) id: Uuid,
    pub(crate) word: String,
}

impl Page {
    pub(crate) fn rows(&self) -> u32 {
        match self.size {
            0 => limits::PAGE_ROWS_DEFAULT,
            size => size.min(limits::PAGE_ROWS_MAX),
        }
    }

    /// The key to go on after; `list` keeps tokens of one list from being used for another.
    pub(crate) fn after(&self, list: u8) -> Result<Option<Place>, QueryError> {
        let Some(token) = self.token.as_deref().filter(|token| !token.is_empty()) else {
            return Ok(None);
        };
        Place::from_token(list, token).map(Some).ok_or(QueryError::BadPageToken)
    }
}

impl Place {
    pub(crate) fn to_token(&self, list: u8) -> String {
        let mut bytes = vec![list];
        bytes.extend_from_slice(&self.at.to_be_bytes());
        bytes.extend_from_slice(self.id.as_bytes());
        bytes.extend_from_slice(self.word.as_bytes());
        BASE64.encode(bytes)
    }

    fn from_token(list: u8, token: &str) -> Option<Self> {
        let bytes = BASE64.decode(token).ok()?;
        let (kind, rest) = bytes.split_first()?;
        let (at, rest) = rest.split_at_checked(8)?;
        let (id, word) = rest.split_at_checked(16)?;
        if *kind != list {
            return None;
        }
        Some(Self {
            at: i64::from_be_bytes(at.try_into().ok()?),
            id: Uuid::from_slice(id).ok()?,
            word: String::from_utf8(word.to_vec()).ok()?,
        })
    }
}

/// Cuts the row that was read to see whether there is more.
pub(crate) fn cut<T>(mut items: Vec<T>, rows: u32, list: u8, place: impl Fn(&T) -> Place) -> Paged<T> {
    let is_more = items.len() > rows as usize;
    items.truncate(rows as usize);
    let next = items.last().filter(|_| is_more).map(|last| place(last).to_token(list));
    Paged { items, next }
}
