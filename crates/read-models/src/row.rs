//! A message's row: what was asked for, and how far it came.

use assent_domain::{
    delivery::DeliveryState,
    values::{Category, Timestamp},
};
use uuid::Uuid;

use crate::{
    codec,
    db::{Column, Row},
    error::QueryError,
    progress::Progress,
    schema::MESSAGES,
};

/// What was asked for; never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) tenant: String,
    pub(crate) sender: String,
    pub(crate) alias: Vec<u8>,
    /// 32 bytes each.
    pub(crate) other_aliases: Option<Vec<u8>>,
    pub(crate) template: Option<String>,
    pub(crate) language: Option<String>,
    pub(crate) purpose: Option<Category>,
    pub(crate) campaign: Option<String>,
    /// A JSON object.
    pub(crate) tags: Option<String>,
    pub(crate) accepted_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// A message as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MessageRow {
    pub(crate) message: Uuid,
    pub(crate) request: Request,
    pub(crate) progress: Progress,
}

impl MessageRow {
    /// What it is judged by: as it was decided, else as the caller declared it; service for what is not a template.
    pub(crate) fn category(&self) -> Option<Category> {
        let decided = self.progress.decided.and_then(|(_, _, category)| category);
        let by_content = self.request.template.is_none().then_some(Category::Service);
        decided.or(self.request.purpose).or(by_content)
    }

    pub(crate) fn state(&self) -> DeliveryState {
        self.progress.delivery.state()
    }
}

/// The columns that [`read`] expects, in its order.
pub(crate) const COLUMNS: &str = "message, tenant, accepted_at, expires_at, sender, alias, other_aliases, template, language, purpose, campaign, tags, progress";

const UNREADABLE: QueryError = QueryError::Unreadable { table: MESSAGES.name };

pub(crate) fn read(row: &Row) -> Result<MessageRow, QueryError> {
    let text = |index| -> Result<Option<String>, sqlx::Error> { Ok(row.maybe_text(index)?.map(str::to_owned)) };
    let purpose = row.maybe_text(9)?.map(str::parse).transpose();
    let others = row.blob(6)?;
    Ok(MessageRow {
        message: row.uuid(0)?,
        request: Request {
            tenant: row.text(1)?.to_owned(),
            accepted_at: Timestamp::from_micros(row.int(2)?),
            expires_at: Timestamp::from_micros(row.int(3)?),
            sender: row.text(4)?.to_owned(),
            alias: row.blob(5)?.to_vec(),
            other_aliases: (!others.is_empty()).then(|| others.to_vec()),
            template: text(7)?,
            language: text(8)?,
            purpose: purpose.map_err(|_| UNREADABLE)?,
            campaign: text(10)?,
            tags: text(11)?,
        },
        progress: codec::decode(row.blob(12)?).ok_or(UNREADABLE)?,
    })
}

/// The columns that change in the life of a message.
pub(crate) const CHANGING: [&str; 2] = ["state", "progress"];

/// The rows' keys and what of them changes.
pub(crate) fn changing_columns<'a>(rows: &[&'a MessageRow], progress: &'a [Vec<u8>]) -> Vec<Column<'a>> {
    vec![
        Column::Uuids(rows.iter().map(|row| row.message).collect()),
        Column::Texts(rows.iter().map(|row| row.state().as_str()).collect()),
        Column::Blobs(progress.iter().map(Vec::as_slice).collect()),
    ]
}

/// The rows as columns, in the order of the table.
pub(crate) fn columns<'a>(rows: &[&'a MessageRow], progress: &'a [Vec<u8>]) -> Vec<Column<'a>> {
    fn maybe<'a>(rows: &[&'a MessageRow], field: impl Fn(&'a Request) -> Option<&'a str>) -> Column<'a> {
        Column::MaybeTexts(rows.iter().map(|row| field(&row.request)).collect())
    }
    let of_request = |field: fn(&Request) -> i64| Column::Ints(rows.iter().map(|row| field(&row.request)).collect());
    vec![
        Column::Uuids(rows.iter().map(|row| row.message).collect()),
        Column::Texts(rows.iter().map(|row| row.request.tenant.as_str()).collect()),
        of_request(|request| request.accepted_at.as_micros()),
        of_request(|request| request.expires_at.as_micros()),
        Column::Texts(rows.iter().map(|row| row.request.sender.as_str()).collect()),
        Column::Blobs(rows.iter().map(|row| row.request.alias.as_slice()).collect()),
        Column::Blobs(
            rows.iter()
                .map(|row| row.request.other_aliases.as_deref().unwrap_or_default())
                .collect(),
        ),
        maybe(rows, |request| request.template.as_deref()),
        maybe(rows, |request| request.language.as_deref()),
        maybe(rows, |request| request.purpose.map(Category::as_str)),
        maybe(rows, |request| request.campaign.as_deref()),
        maybe(rows, |request| request.tags.as_deref()),
        Column::Texts(rows.iter().map(|row| row.state().as_str()).collect()),
        Column::Blobs(progress.iter().map(Vec::as_slice).collect()),
    ]
}
