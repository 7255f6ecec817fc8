//! Which stream an event stands in. One key for everything about a message, a number, a template, an account, a contact:
//! a single `read_keys` reads what every service recorded about it, in order.

use crate::{log, platform::Platform};
use assent_domain::{
    events::StreamCategory,
    values::{ContactId, FileId, MessageId, PhoneNumberId, TemplateRef, WabaId, WamidHash},
};
use assent_event_store::StreamId;
use assent_sealed::AliasHash;
use uuid::Uuid;

/// What something recorded is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject<'a> {
    /// A message of ours: request, decision, attempts and what Meta reported of it.
    Message(MessageId),
    /// A message that is not known to be ours, by Meta's id.
    Wamid(WamidHash),
    /// A contact: consent, suppression, conversation.
    Contact(ContactId),
    /// A person as Meta names them: what they wrote and chose. The service that takes callbacks knows no contacts.
    Person(AliasHash),
    /// A file that a person sent.
    File(FileId),
    /// A number of a tenant's.
    Number(&'a PhoneNumberId),
    /// A template of an account's.
    Template(&'a WabaId, &'a TemplateRef),
    /// An account.
    Account(&'a WabaId),
}

impl Platform {
    /// The key of all streams about a subject.
    pub fn key_of(&self, subject: Subject<'_>) -> Uuid {
        let derive = |label: &str, parts: &[&[u8]]| self.hasher.stream_key(label, parts);
        match subject {
            Subject::Message(message) => message.uuid(),
            Subject::Contact(contact) => contact.uuid(),
            Subject::File(file) => file.uuid(),
            Subject::Wamid(wamid) => derive("wamid", &[&wamid.0]),
            Subject::Person(alias) => derive("person", &[&alias.0]),
            Subject::Number(number) => derive("number", &[number.as_str().as_bytes()]),
            Subject::Account(account) => derive("account", &[account.as_str().as_bytes()]),
            Subject::Template(account, TemplateRef { name, language }) => {
                let parts = [account.as_str(), name.as_str(), language.as_str()].map(str::as_bytes);
                derive("template", &parts)
            }
        }
    }

    /// The stream of `category` about a subject.
    pub fn stream_of(&self, category: StreamCategory, subject: Subject<'_>) -> StreamId {
        log::stream(category, self.key_of(subject))
    }
}

/// What personal values are sealed as: whoever opens one names the same purpose, so that none can be passed off as another.
pub mod purpose {
    /// The address of a request's recipient, by the content key of the alias it was addressed to.
    pub const RECIPIENT: &str = "request.recipient";
    /// The text or the components of a request, by the same key.
    pub const CONTENT: &str = "request.content";
    /// An alias, by its own identity key.
    pub const ALIAS: &str = "alias";
    /// How consent can be proved, by the proof key of the alias it was given by.
    pub const PROOF: &str = "contact.proof";
    /// Meta's id of a message, by the content key of the alias that was written to or wrote.
    pub const WAMID: &str = "wamid";
    /// The `wa_id` or user id in an answer, by the content key of the alias that was written to.
    pub const ANSWERED_ADDRESS: &str = "attempt.address";
    /// What a person wrote, by the content key of the first alias they are named by.
    pub const INBOUND: &str = "provider.inbound";
    /// What is said of a file that a person sent, by the same key.
    pub const FILE: &str = "provider.file";
    /// What a stored file is, by the same key.
    pub const STORED_FILE: &str = "media.file";
    /// The message that a person wrote as Meta has it, by the same key.
    pub const INBOUND_DETAILS: &str = "provider.inbound_details";
    /// The name a person shows, by the identity key of the same alias.
    pub const PROFILE_NAME: &str = "provider.profile_name";
    /// A callback nobody could read, by a content key of the account it names.
    pub const CALLBACK: &str = "provider.callback";
}
