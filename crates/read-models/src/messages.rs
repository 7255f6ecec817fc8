//! Every message as it stands.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
};

use assent_domain::{
    delivery::DeliveryState,
    values::{
        Category, ContactId, Label, MessageId, PhoneNumberId, TemplateName, TemplateRef, TenantId, Term, Timestamp,
    },
};
use assent_event_store::{EventStore, ShardId};
use assent_sealed::AliasHash;
use uuid::Uuid;

use crate::{
    db::{Db, Dialect, Value},
    error::QueryError,
    limits,
    page::{self, Page, Paged, Place},
    progress::Progress,
    row::{self, MessageRow},
    schema::{MESSAGES, qualified},
};

/// Which list a page token belongs to.
const LIST: u8 = b'm';

/// A message as it stands. Nothing in it is personal data; the address and the content are in the log, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The message.
    pub message: MessageId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The number it is sent from.
    pub sender: PhoneNumberId,
    /// The keyed hash of the address it was asked for.
    pub recipient: AliasHash,
    /// Keyed hashes of other spellings of that address.
    pub other_spellings: Vec<AliasHash>,
    /// The template; `None` for free-form text.
    pub template: Option<TemplateRef>,
    /// What it is judged by: as it was decided, else as the caller declared it; `None` while that is not known.
    pub category: Option<Category>,
    /// The campaign it is part of.
    pub campaign: Option<Label>,
    /// The caller's own marks.
    pub tags: BTreeMap<Label, Label>,
    /// When it was asked for.
    pub accepted_at: Timestamp,
    /// After this moment it is not sent any more.
    pub expires_at: Timestamp,
    /// How far it came, with the moments of each step.
    pub progress: Progress,
}

impl Summary {
    /// Where it stands.
    pub fn state(&self) -> DeliveryState {
        self.progress.delivery.state()
    }

    /// The contact it was decided for, once it was.
    pub fn contact(&self) -> Option<ContactId> {
        self.progress.decided.map(|(_, contact, _)| contact)
    }

    /// When something was last learned of it, by the clock of whoever said so.
    pub fn updated_at(&self) -> Timestamp {
        self.progress.updated_at().unwrap_or(self.accepted_at)
    }
}

impl MessageRow {
    fn summary(&self) -> Option<Summary> {
        let request = &self.request;
        let alias = |bytes: &[u8]| bytes.try_into().ok().map(AliasHash);
        let template = match (&request.template, &request.language) {
            (Some(name), Some(language)) => Some(TemplateRef {
                name: TemplateName::try_new(name).ok()?,
                language: language.parse().ok()?,
            }),
            _ => None,
        };
        let others = request.other_aliases.as_deref().unwrap_or_default();
        let tags = request.tags.as_deref().map(serde_json::from_str).transpose();
        Some(Summary {
            message: MessageId::new(self.message),
            tenant: TenantId::try_new(&request.tenant).ok()?,
            sender: PhoneNumberId::try_new(&request.sender).ok()?,
            recipient: alias(&request.alias)?,
            other_spellings: others.chunks(32).map(alias).collect::<Option<_>>()?,
            template,
            category: self.category(),
            campaign: request.campaign.as_deref().map(Term::try_new).transpose().ok()?,
            tags: tags.ok()?.unwrap_or_default(),
            accepted_at: request.accepted_at,
            expires_at: request.expires_at,
            progress: self.progress.clone(),
        })
    }
}

/// Which messages are wanted; everything that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// In one of these states; empty means any.
    pub states: Vec<DeliveryState>,
    /// From this number.
    pub sender: Option<PhoneNumberId>,
    /// To any of these addresses: all spellings of one person. Empty means anybody.
    pub recipients: Vec<AliasHash>,
    /// With this template.
    pub template: Option<TemplateName>,
    /// Of this campaign.
    pub campaign: Option<Label>,
    /// With all of these marks.
    pub tags: BTreeMap<Label, Label>,
    /// Asked for at or after this moment.
    pub accepted_from: Option<Timestamp>,
    /// Asked for before this moment.
    pub accepted_until: Option<Timestamp>,
}

/// A tenant's messages, the newest first. Pages do not repeat or hide messages that were there when the first was read,
/// whatever comes meanwhile.
pub async fn list(
    store: &EventStore,
    shard: ShardId,
    tenant: &TenantId,
    filter: &Filter,
    page: &Page,
) -> Result<Paged<Summary>, QueryError> {
    let db = Db::of(store);
    let after = page.after(LIST)?;
    let (sql, values) = statement(db.dialect(), shard, tenant, filter, after, page.rows());
    let rows = db.fetch(&sql.into(), &values).await?;
    let rows: Vec<MessageRow> = rows.iter().map(row::read).collect::<Result<_, _>>()?;
    let paged = page::cut(rows, page.rows(), LIST, |row| Place {
        at: row.request.accepted_at.as_micros(),
        id: row.message,
        word: String::new(),
    });
    let items: Option<Vec<Summary>> = paged.items.iter().map(MessageRow::summary).collect();
    Ok(Paged {
        items: items.ok_or(QueryError::Unreadable { table: MESSAGES.name })?,
        next: paged.next,
    })
}

fn statement(
    dialect: Dialect,
    shard: ShardId,
    tenant: &TenantId,
    filter: &Filter,
    after: Option<Place>,
    rows: u32,
) -> (String, Vec<Value>) {
    let mut values = vec![Value::Int(i64::from(shard.0)), Value::Text(tenant.as_str().to_owned())];
    let mut conditions = String::from("shard = $1 and tenant = $2");
    let mut source = qualified(dialect, MESSAGES.name);
    let mut with = String::new();
    let mut parameter = |value: Value| {
        values.push(value);
        format!("${}", values.len())
    };
    let mut also = |condition: String| write!(conditions, " and {condition}").expect("memory");
    if !filter.recipients.is_empty() {
        // One person's messages are few: found by their address first, whatever the planner thinks of the other conditions.
        let aliases = parameter(Value::Blobs(
            filter.recipients.iter().map(|alias| alias.0.to_vec()).collect(),
        ));
        let any = match dialect {
            Dialect::Postgres => format!("alias = any({aliases})"),
            Dialect::Sqlite => format!("alias in (select unhex(value) from json_each({aliases}))"),
        };
        with = format!("with of_person as materialized (select * from {source} where {any}) ");
        "of_person".clone_into(&mut source);
    }
    if !filter.states.is_empty() {
        let states = filter.states.iter().map(|state| state.as_str().to_owned()).collect();
        let states = parameter(Value::Texts(states));
        also(match dialect {
            Dialect::Postgres => format!("state = any({states})"),
            Dialect::Sqlite => format!("state in (select value from json_each({states}))"),
        });
    }
    let texts = [
        ("sender", filter.sender.as_ref().map(PhoneNumberId::as_str)),
        ("template", filter.template.as_ref().map(TemplateName::as_str)),
        ("campaign", filter.campaign.as_ref().map(Label::as_str)),
    ];
    for (column, wanted) in texts {
        if let Some(wanted) = wanted {
            also(format!("{column} = {}", parameter(Value::Text(wanted.to_owned()))));
        }
    }
    for (label, wanted) in &filter.tags {
        // A label has no quotes in it.
        let (name, wanted) = (label.as_str(), parameter(Value::Text(wanted.as_str().to_owned())));
        also(match dialect {
            Dialect::Postgres => format!("tags::jsonb ->> {} = {wanted}", parameter(Value::Text(name.to_owned()))),
            Dialect::Sqlite => {
                let path = parameter(Value::Text(format!("$.\"{name}\"")));
                format!("tags ->> {path} = {wanted}")
            }
        });
    }
    if let Some(from) = filter.accepted_from {
        also(format!("accepted_at >= {}", parameter(Value::Int(from.as_micros()))));
    }
    if let Some(until) = filter.accepted_until {
        also(format!("accepted_at < {}", parameter(Value::Int(until.as_micros()))));
    }
    if let Some(after) = after {
        let (at, id) = (parameter(Value::Int(after.at)), parameter(Value::Uuid(after.id)));
        also(format!("(accepted_at, message) < ({at}, {id})"));
    }
    let columns = row::COLUMNS;
    let limit = i64::from(rows) + 1;
    let sql = format!(
        "{with}select {columns} from {source} where {conditions} order by accepted_at desc, message desc limit {limit}"
    );
    (sql, values)
}

/// Messages by id, whoever's they are; unknown ones are not in the answer.
pub async fn get(
    store: &EventStore,
    shard: ShardId,
    messages: &[MessageId],
) -> Result<HashMap<MessageId, Summary>, QueryError> {
    let rows = load(store, shard, messages, row::COLUMNS).await?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in &rows {
        let summary = row::read(row)?.summary();
        let summary = summary.ok_or(QueryError::Unreadable { table: MESSAGES.name })?;
        found.insert(summary.message, summary);
    }
    Ok(found)
}

/// Where messages stand; unknown ones are not in the answer.
pub async fn states(
    store: &EventStore,
    shard: ShardId,
    messages: &[MessageId],
) -> Result<HashMap<MessageId, DeliveryState>, QueryError> {
    let rows = load(store, shard, messages, "message, state").await?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in &rows {
        let state = DeliveryState::ALL
            .into_iter()
            .find(|state| row.text(1).is_ok_and(|name| name == state.as_str()));
        let state = state.ok_or(QueryError::Unreadable { table: MESSAGES.name })?;
        found.insert(MessageId::new(row.uuid(0)?), state);
    }
    Ok(found)
}

async fn load(
    store: &EventStore,
    shard: ShardId,
    messages: &[MessageId],
    columns: &str,
) -> Result<Vec<crate::db::Row>, QueryError> {
    if messages.len() > limits::LOOKUP_MESSAGES_MAX {
        return Err(QueryError::TooMany {
            max: limits::LOOKUP_MESSAGES_MAX,
        });
    }
    let db = Db::of(store);
    let any = match db.dialect() {
        Dialect::Postgres => "message = any($2)",
        Dialect::Sqlite => "message in (select unhex(value) from json_each($2))",
    };
    let table = qualified(db.dialect(), MESSAGES.name);
    let sql = format!("select {columns} from {table} where shard = $1 and {any}");
    let ids: Vec<Uuid> = messages.iter().map(|message| message.uuid()).collect();
    Ok(db
        .fetch(&sql.into(), &[Value::Int(i64::from(shard.0)), Value::Uuids(ids)])
        .await?)
}
