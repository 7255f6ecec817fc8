//! What users send (Cloud API, "Messages webhook" reference).

use super::user::{User, UserBook};
use crate::graph_error::GraphError;
use crate::json::Fields;
use crate::redact::redacted_debug;
use crate::timestamp::Timestamp;
use crate::wamid::Wamid;

/// One message from a user.
#[derive(Clone, PartialEq)]
pub struct InboundMessage {
    /// Its id, unique: what to recognise a repeated delivery by.
    pub id: Wamid,
    /// Who sent it. In a notice of a changed number this is the old one.
    pub sender: User,
    /// When; absent if Meta's stamp cannot be read.
    pub timestamp: Option<Timestamp>,
    /// The group it was sent in.
    pub group_id: Option<String>,
    /// The message of ours it answers, if it says so.
    pub context: Option<ReplyContext>,
    /// The advertisement or post the user came from; on a message of any kind.
    pub referral: Option<Referral>,
    /// What was sent.
    pub content: InboundContent,
    /// Errors Meta attached: a kind it cannot carry, media it could not fetch.
    pub errors: Vec<GraphError>,
    /// The whole message as Meta wrote it, as JSON.
    pub raw: String,
}

/// What a message answers.
#[derive(Clone, PartialEq, Default)]
pub struct ReplyContext {
    /// The message quoted or tapped on.
    pub message_id: Option<Wamid>,
    /// WhatsApp id of who sent that one.
    pub from: Option<String>,
    /// Whether it was forwarded.
    pub forwarded: bool,
    /// Whether it was forwarded often.
    pub frequently_forwarded: bool,
    /// The product asked about: its id in the shop.
    pub product_retailer_id: Option<String>,
}

/// Where a user came from.
#[derive(Clone, PartialEq, Default)]
pub struct Referral {
    /// Link to it.
    pub source_url: Option<String>,
    /// Its id.
    pub source_id: Option<String>,
    /// `ad` or `post`.
    pub source_type: Option<String>,
    /// Its headline.
    pub headline: Option<String>,
    /// Its text.
    pub body: Option<String>,
    /// Meta's click id; absent for advertisements placed in Status.
    pub click_id: Option<String>,
}

/// What was sent. Kinds without a variant of their own are kept whole.
#[derive(Clone, PartialEq)]
pub enum InboundContent {
    /// Text.
    Text(String),
    /// A tap on a quick reply of a template.
    Button {
        /// What the template's button carried.
        payload: Option<String>,
        /// The button's label.
        text: Option<String>,
    },
    /// A tap on an interactive message.
    Interactive(InteractiveReply),
    /// An emoji on a message; `None` takes it back.
    Reaction {
        /// The message.
        message_id: Option<Wamid>,
        /// The emoji.
        emoji: Option<String>,
    },
    /// An image, video, voice note, file or sticker.
    Media(InboundMedia),
    /// A place.
    Location {
        /// Degrees north.
        latitude: f64,
        /// Degrees east.
        longitude: f64,
        /// Name of the place.
        name: Option<String>,
        /// Its address.
        address: Option<String>,
    },
    /// WhatsApp's own notice about the user, not something they wrote; does not open the service window.
    System(SystemNotice),
    /// The user edited or took back an earlier message.
    Changed {
        /// `edit` or `revoke`.
        kind: String,
        /// The earlier message.
        original_message_id: Option<Wamid>,
        /// JSON text of the whole message.
        raw: String,
    },
    /// A kind Meta cannot carry to us.
    Unsupported {
        /// What it was, if Meta says.
        kind: Option<String>,
    },
    /// Any other kind.
    Other {
        /// Meta's word for it.
        kind: String,
        /// JSON text of the whole message.
        raw: String,
    },
}

/// An answer to an interactive message.
#[derive(Clone, PartialEq)]
pub enum InteractiveReply {
    /// A reply button.
    Button {
        /// The id we gave it.
        id: String,
        /// Its title.
        title: Option<String>,
    },
    /// A row of a list.
    List {
        /// The id we gave it.
        id: String,
        /// Its title.
        title: Option<String>,
        /// Its description.
        description: Option<String>,
    },
    /// A completed flow.
    Flow {
        /// Its name, `flow`.
        name: Option<String>,
        /// What the user sees in the chat.
        body: Option<String>,
        /// The answers, as JSON text.
        response_json: Option<String>,
    },
    /// Any other answer.
    Other {
        /// Meta's word for it.
        kind: String,
        /// JSON text of the whole message.
        raw: String,
    },
}

/// A file from a user. Meta keeps it for seven days.
#[derive(Clone, PartialEq)]
pub struct InboundMedia {
    /// `image`, `video`, `audio`, `document`, `sticker`.
    pub kind: String,
    /// To fetch it by.
    pub id: Option<String>,
    /// Media type; may carry parameters (`audio/ogg; codecs=opus`).
    pub mime_type: Option<String>,
    /// Hash of the content, base64.
    pub sha256: Option<String>,
    /// Text beneath.
    pub caption: Option<String>,
    /// Name of a document.
    pub filename: Option<String>,
    /// Where it can be fetched for five minutes, with the token.
    pub url: Option<String>,
    /// Whether it is a voice note.
    pub voice: Option<bool>,
    /// Whether a sticker moves.
    pub animated: Option<bool>,
}

/// WhatsApp's notice about a user.
#[derive(Clone, PartialEq)]
pub struct SystemNotice {
    /// `user_changed_number`, `user_changed_user_id`, `customer_identity_changed`, …
    pub kind: Option<String>,
    /// Text for people.
    pub body: Option<String>,
    /// The user's new WhatsApp id.
    pub new_wa_id: Option<String>,
    /// The user's new business-scoped id.
    pub new_user_id: Option<String>,
    /// The user's new identity key hash.
    pub identity_hash: Option<String>,
}

redacted_debug!(
    InboundMessage {
        timestamp,
        content,
        errors
    },
    ReplyContext {
        forwarded,
        frequently_forwarded
    },
    Referral { source_type },
    InboundMedia { kind, mime_type },
    SystemNotice { kind },
);

impl InboundContent {
    /// Meta's word for the kind, for logs and metrics; `other` for one that has no variant here.
    pub fn kind(&self) -> &str {
        match self {
            Self::Text(_) => "text",
            Self::Button { .. } => "button",
            Self::Interactive(_) => "interactive",
            Self::Reaction { .. } => "reaction",
            Self::Media(media) => &media.kind,
            Self::Location { .. } => "location",
            Self::System(_) => "system",
            Self::Changed { .. } => "changed",
            Self::Unsupported { .. } => "unsupported",
            Self::Other { .. } => "other",
        }
    }

    /// Text a person wrote or tapped: what a STOP word is looked for in.
    pub fn written_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Button { text, .. } => text.as_deref(),
            Self::Interactive(InteractiveReply::Button { title, .. } | InteractiveReply::List { title, .. }) => {
                title.as_deref()
            }
            Self::Media(media) => media.caption.as_deref(),
            _ => None,
        }
    }

    /// The payload of a tapped button or row: what we put there when we sent it.
    pub fn tapped_payload(&self) -> Option<&str> {
        match self {
            Self::Button { payload, .. } => payload.as_deref(),
            Self::Interactive(InteractiveReply::Button { id, .. } | InteractiveReply::List { id, .. }) => Some(id),
            _ => None,
        }
    }
}

impl std::fmt::Debug for InboundContent {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "InboundContent({}, redacted)", self.kind())
    }
}

impl std::fmt::Debug for InteractiveReply {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Button { .. } => "Button(redacted)",
            Self::List { .. } => "List(redacted)",
            Self::Flow { .. } => "Flow(redacted)",
            Self::Other { .. } => "Other(redacted)",
        })
    }
}

impl InboundMessage {
    pub(super) fn from_fields(mut fields: Fields, raw: &str, users: &UserBook) -> Option<Self> {
        let id = Wamid::new(fields.filled_text("id")?);
        let from = fields.filled_text("from");
        let from_user_id = fields.filled_text("from_user_id");
        let parent_user_id = fields.filled_text("from_parent_user_id");
        Some(Self {
            id,
            sender: users.complete(from, from_user_id, parent_user_id),
            timestamp: fields.timestamp("timestamp"),
            group_id: fields.filled_text("group_id"),
            context: fields.object("context").map(ReplyContext::from_fields),
            referral: fields.object("referral").map(Referral::from_fields),
            errors: fields
                .objects("errors")
                .into_iter()
                .filter_map(GraphError::from_fields)
                .collect(),
            content: InboundContent::from_fields(&mut fields, raw),
            raw: raw.to_owned(),
        })
    }
}

impl ReplyContext {
    fn from_fields(mut fields: Fields) -> Self {
        Self {
            message_id: fields.filled_text("id").map(Wamid::new),
            from: fields.filled_text("from"),
            forwarded: fields.boolean("forwarded").unwrap_or(false),
            frequently_forwarded: fields.boolean("frequently_forwarded").unwrap_or(false),
            product_retailer_id: fields
                .object("referred_product")
                .and_then(|mut product| product.filled_text("product_retailer_id")),
        }
    }
}

impl Referral {
    fn from_fields(mut fields: Fields) -> Self {
        Self {
            source_url: fields.filled_text("source_url"),
            source_id: fields.filled_text("source_id"),
            source_type: fields.filled_text("source_type"),
            headline: fields.filled_text("headline"),
            body: fields.filled_text("body"),
            click_id: fields.filled_text("ctwa_clid"),
        }
    }
}

impl InboundContent {
    fn from_fields(message: &mut Fields, raw: &str) -> Self {
        let kind = message.filled_text("type").unwrap_or_default();
        let mut part = message.object(&kind).unwrap_or_default();
        let known = match kind.as_str() {
            "text" => part.text("body").map(Self::Text),
            "button" => Some(Self::Button {
                payload: part.filled_text("payload"),
                text: part.filled_text("text"),
            }),
            "interactive" => Some(Self::Interactive(InteractiveReply::from_fields(part, raw))),
            "reaction" => Some(Self::Reaction {
                message_id: part.filled_text("message_id").map(Wamid::new),
                emoji: part.filled_text("emoji"),
            }),
            "image" | "video" | "audio" | "document" | "sticker" => {
                Some(Self::Media(InboundMedia::from_fields(&kind, part)))
            }
            "location" => location_from(part),
            "system" => Some(Self::System(SystemNotice::from_fields(part, message))),
            "edit" | "revoke" => Some(Self::Changed {
                kind: kind.clone(),
                original_message_id: part.filled_text("original_message_id").map(Wamid::new),
                raw: raw.to_owned(),
            }),
            "unsupported" => Some(Self::Unsupported {
                kind: part.filled_text("type"),
            }),
            _ => None,
        };
        known.unwrap_or_else(|| Self::Other {
            kind,
            raw: raw.to_owned(),
        })
    }
}

impl InteractiveReply {
    fn from_fields(mut fields: Fields, raw: &str) -> Self {
        let kind = fields.filled_text("type").unwrap_or_default();
        let mut part = fields.object(&kind).unwrap_or_default();
        let id = part.text("id");
        let title = part.filled_text("title");
        match (kind.as_str(), id) {
            ("button_reply", Some(id)) => Self::Button { id, title },
            ("list_reply", Some(id)) => Self::List {
                id,
                title,
                description: part.filled_text("description"),
            },
            ("nfm_reply", _) => Self::Flow {
                name: part.filled_text("name"),
                body: part.filled_text("body"),
                response_json: part.filled_text("response_json"),
            },
            _ => Self::Other {
                kind,
                raw: raw.to_owned(),
            },
        }
    }
}

impl InboundMedia {
    fn from_fields(kind: &str, mut fields: Fields) -> Self {
        Self {
            kind: kind.to_owned(),
            id: fields.filled_text("id"),
            mime_type: fields.filled_text("mime_type"),
            sha256: fields.filled_text("sha256"),
            caption: fields.filled_text("caption"),
            filename: fields.filled_text("filename"),
            url: fields.filled_text("url"),
            voice: fields.boolean("voice"),
            animated: fields.boolean("animated"),
        }
    }
}

impl SystemNotice {
    fn from_fields(mut fields: Fields, message: &mut Fields) -> Self {
        let wa_id = fields.filled_text("wa_id");
        // The older form of a changed number.
        let old_form = fields.filled_text("new_wa_id");
        Self {
            kind: fields.filled_text("type"),
            body: fields.filled_text("body"),
            new_wa_id: wa_id.or(old_form),
            new_user_id: fields.filled_text("user_id"),
            identity_hash: message
                .object("identity")
                .and_then(|mut identity| identity.filled_text("hash")),
        }
    }
}

fn location_from(mut part: Fields) -> Option<InboundContent> {
    Some(InboundContent::Location {
        latitude: part.number("latitude")?,
        longitude: part.number("longitude")?,
        name: part.filled_text("name"),
        address: part.filled_text("address"),
    })
}
