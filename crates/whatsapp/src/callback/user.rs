//! Who a report is about.

use std::collections::HashMap;

use crate::json::Fields;
use crate::redact::redacted_debug;

/// A WhatsApp user as far as a report names them. Since 2026 the phone number may be missing (usernames), and the
/// `contacts` part may be missing altogether, so every field is optional.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct User {
    /// WhatsApp id: the phone number's digits, sometimes in another form than the one dialled (Mexico, Argentina, Brazil).
    pub wa_id: Option<String>,
    /// Business-scoped user id; the same for all numbers of a portfolio, changes when the user changes number.
    pub user_id: Option<String>,
    /// The id in the parent of linked portfolios.
    pub parent_user_id: Option<String>,
    /// The name the user chose to show.
    pub profile_name: Option<String>,
    /// Username; display only, it can change hands.
    pub username: Option<String>,
    /// Hash of the user's identity key, if the check is on.
    pub identity_key_hash: Option<String>,
}

redacted_debug!(User {});

impl User {
    /// Whether anything identifies the user.
    pub fn is_identified(&self) -> bool {
        self.wa_id.is_some() || self.user_id.is_some()
    }

    fn from_contact(mut contact: Fields) -> Self {
        let mut profile = contact.object("profile").unwrap_or_default();
        Self {
            wa_id: contact.filled_text("wa_id"),
            user_id: contact.filled_text("user_id"),
            parent_user_id: contact.filled_text("parent_user_id"),
            profile_name: profile.filled_text("name"),
            username: profile.filled_text("username"),
            identity_key_hash: contact.filled_text("identity_key_hash"),
        }
    }
}

/// The `contacts` of one value, found by id in constant time: a batch may hold a thousand.
#[derive(Default)]
pub(super) struct UserBook {
    users: Vec<User>,
    by_wa_id: HashMap<String, usize>,
    by_user_id: HashMap<String, usize>,
}

impl UserBook {
    pub(super) fn from_contacts(raw: &str) -> Self {
        let contacts: Vec<serde_json::Value> = serde_json::from_str(raw).unwrap_or_default();
        let mut book = Self::default();
        for contact in contacts.into_iter().filter_map(Fields::from_value) {
            let user = User::from_contact(contact);
            let at = book.users.len();
            if let Some(wa_id) = &user.wa_id {
                book.by_wa_id.insert(wa_id.clone(), at);
            }
            if let Some(user_id) = &user.user_id {
                book.by_user_id.insert(user_id.clone(), at);
            }
            book.users.push(user);
        }
        book
    }

    /// The user with these ids, completed by what `contacts` says. Only an id that matches brings a name along: a batch
    /// names several people, and a name in the wrong place would be worse than none.
    pub(super) fn complete(
        &self,
        wa_id: Option<String>,
        user_id: Option<String>,
        parent_user_id: Option<String>,
    ) -> User {
        let by_user_id = user_id.as_ref().and_then(|id| self.by_user_id.get(id));
        let by_wa_id = wa_id.as_ref().and_then(|id| self.by_wa_id.get(id));
        let mut user = by_user_id
            .or(by_wa_id)
            .map(|at| self.users[*at].clone())
            .unwrap_or_default();
        // The report itself is nearer to the event than its list of contacts.
        user.wa_id = wa_id.or(user.wa_id);
        user.user_id = user_id.or(user.user_id);
        user.parent_user_id = parent_user_id.or(user.parent_user_id);
        user
    }
}
