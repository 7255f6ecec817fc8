//! What we conclude about templates. Stream key: derived from account, name and language. Owner: status-tracker.

use serde::{Deserialize, Serialize};

use super::QualityRating;
use crate::values::{Category, TemplateDefinition, TemplateRef, TenantId, Term, Timestamp, WabaId};

super::event_catalogue! {
    /// What we conclude about a template.
    TemplateEvent in Template {
        /// The template was looked at and something differs from before.
        Observed(TemplateObserved) = "template.observed" v 1,
    }
}

/// How a conclusion was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObservedFrom {
    /// We asked.
    Poll,
    /// Meta called.
    Callback,
    /// An answer to a send said so.
    SendError,
}

/// The state of a template, in Meta's words. Only `approved` sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TemplateStatus {
    /// May be sent.
    Approved,
    /// Under review.
    Pending,
    /// Review said no.
    Rejected,
    /// Stopped for low quality or by pacing; may come back.
    Paused,
    /// Stopped for good.
    Disabled,
    /// Review is being contested.
    InAppeal,
    /// Will be deleted.
    PendingDeletion,
    /// Deleted.
    Deleted,
    /// Too many templates.
    LimitExceeded,
    /// Archived after long disuse.
    Archived,
    /// Locked.
    Locked,
    /// A word we do not know.
    Unknown,
}

impl TemplateStatus {
    const NAMES: [(Self, &'static str); 12] = [
        (Self::Approved, "approved"),
        (Self::Pending, "pending"),
        (Self::Rejected, "rejected"),
        (Self::Paused, "paused"),
        (Self::Disabled, "disabled"),
        (Self::InAppeal, "in_appeal"),
        (Self::PendingDeletion, "pending_deletion"),
        (Self::Deleted, "deleted"),
        (Self::LimitExceeded, "limit_exceeded"),
        (Self::Archived, "archived"),
        (Self::Locked, "locked"),
        (Self::Unknown, "unknown"),
    ];

    /// The stable name: Meta's word in small letters.
    pub fn as_str(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(status, _)| *status == self)
            .map_or("unknown", |(_, name)| name)
    }

    /// From Meta's word, in any case. The events `REINSTATED` and `UNARCHIVED` mean approved again; a new word is `Unknown`.
    pub fn from_provider(word: &str) -> Self {
        if ["reinstated", "unarchived"]
            .iter()
            .any(|again| again.eq_ignore_ascii_case(word))
        {
            return Self::Approved;
        }
        Self::NAMES
            .iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(word))
            .map_or(Self::Unknown, |(status, _)| *status)
    }
}

/// A change of category that Meta has announced but not yet made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnouncedCategory {
    /// What it will be.
    pub category: Category,
    /// From when, if Meta said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_at: Option<Timestamp>,
}

/// What is known of a template now. Each event holds the whole picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateObserved {
    /// Whose template it is.
    pub tenant: TenantId,
    /// The account it belongs to.
    pub waba: WabaId,
    /// Name and language.
    pub template: TemplateRef,
    /// Meta's id of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_id: Option<Term>,
    /// Its state.
    pub status: TemplateStatus,
    /// Its category today.
    pub category: Category,
    /// The category it will have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announced: Option<AnnouncedCategory>,
    /// Its quality colour.
    pub quality: QualityRating,
    /// Why it has this state, in Meta's words, such as `FIRST_PAUSE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Term>,
    /// What it consists of; absent if nobody said, or if it is too large to be kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<TemplateDefinition>,
    /// How we know.
    pub observed_from: ObservedFrom,
    /// When it was looked at.
    pub observed_at: Timestamp,
}
