//! What a message is, as it is typed.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Context as _, bail};
use assent_proto::v1::{
    Content, MessageCategory, Recipient, TemplateButton, TemplateContent, TemplateParameter, TextContent, content,
    recipient, template_button, template_parameter,
};
use clap::{Args, ValueEnum};

use super::json;

/// Most of a file that is read: more is no content.
const CONTENT_BYTES_MAX: u64 = 1024 * 1024;

/// A message.
#[derive(Debug, Args)]
pub(crate) struct MessageArgs {
    /// Meta's id of the sending number
    #[arg(long, value_name = "PHONE_NUMBER_ID", env = "ASSENT_FROM")]
    pub(super) from: String,
    /// Whom it goes to: a phone number such as +4915112345678, or a business-scoped user id
    #[arg(long, value_name = "PERSON")]
    to: String,
    /// What it is for [default: what its template is for]
    #[arg(long, value_enum)]
    category: Option<CategoryName>,
    #[command(flatten)]
    kind: Kind,
    /// Language of the template
    #[arg(long, default_value = "en_US")]
    language: String,
    /// Value of the next variable of the template's body; give one for each
    #[arg(long = "param", value_name = "TEXT", requires = "template")]
    parameters: Vec<String>,
    /// Value of a named variable of the template's body
    #[arg(long = "named-param", value_name = "NAME=TEXT", requires = "template")]
    named_parameters: Vec<String>,
    /// Value of the template's header variable
    #[arg(long, value_name = "TEXT", requires = "template")]
    header: Option<String>,
    /// Value of a button of the template, counted from 0, e.g. 0:url:A-17 (url, reply or code)
    #[arg(long = "button", value_name = "INDEX:KIND:VALUE", requires = "template")]
    buttons: Vec<Button>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Kind {
    /// Name of an approved template
    #[arg(long, value_name = "NAME")]
    template: Option<String>,
    /// Free-form text; allowed for 24 hours after the person wrote
    #[arg(long)]
    text: Option<String>,
    /// Content of any kind: a file with the JSON form of `assent.v1.Content`, or - for standard input, e.g.
    /// {"image": {"media": {"link": "https://…"}, "caption": "…"}}
    #[arg(long, value_name = "FILE")]
    content: Option<PathBuf>,
}

/// A category as it is typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum CategoryName {
    /// About something the person ordered, asked for or agreed to
    Utility,
    /// Offers, news, everything promotional
    Marketing,
    /// One-time codes
    Authentication,
    /// An answer while the person's window is open
    Service,
}

impl From<CategoryName> for MessageCategory {
    fn from(name: CategoryName) -> Self {
        match name {
            CategoryName::Utility => Self::Utility,
            CategoryName::Marketing => Self::Marketing,
            CategoryName::Authentication => Self::Authentication,
            CategoryName::Service => Self::Service,
        }
    }
}

#[derive(Debug, Clone)]
struct Button(TemplateButton);

impl FromStr for Button {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.splitn(3, ':').collect();
        let [index, kind, value] = parts[..] else {
            return Err("write INDEX:KIND:VALUE".to_owned());
        };
        let value = value.to_owned();
        let value = match kind {
            "url" => template_button::Value::UrlSuffix(value),
            "reply" => template_button::Value::QuickReplyPayload(value),
            "code" => template_button::Value::CopyCode(value),
            _ => return Err("the kind is url, reply or code".to_owned()),
        };
        let index = index.parse().map_err(|_| "the index is a number from 0".to_owned())?;
        Ok(Self(TemplateButton {
            index,
            value: Some(value),
        }))
    }
}

/// A person by phone number, which begins with "+", or by user id.
pub(crate) fn recipient(person: &str) -> Recipient {
    let alias = if person.starts_with('+') {
        recipient::Alias::PhoneNumber(person.to_owned())
    } else {
        recipient::Alias::UserId(person.to_owned())
    };
    Recipient { alias: Some(alias) }
}

/// Content as it stands in a file.
fn read_content(file: &Path) -> anyhow::Result<Content> {
    let text = if file == Path::new("-") {
        std::io::read_to_string(std::io::stdin().take(CONTENT_BYTES_MAX)).context("standard input cannot be read")?
    } else {
        let opened = File::open(file).with_context(|| format!("{} cannot be opened", file.display()))?;
        std::io::read_to_string(opened.take(CONTENT_BYTES_MAX))
            .with_context(|| format!("{} cannot be read", file.display()))?
    };
    json::read("Content", &text).with_context(|| format!("{} is no content", file.display()))
}

fn parameter(name: &str, text: &str) -> TemplateParameter {
    TemplateParameter {
        name: name.to_owned(),
        value: Some(template_parameter::Value::Text(text.to_owned())),
    }
}

impl MessageArgs {
    pub(super) fn recipient(&self) -> Recipient {
        recipient(&self.to)
    }

    pub(super) fn category(&self) -> i32 {
        self.category.map_or(MessageCategory::Unspecified, Into::into).into()
    }

    pub(super) fn content(&self) -> anyhow::Result<Content> {
        let kind = match (&self.kind.template, &self.kind.text, &self.kind.content) {
            (Some(name), None, None) => content::Kind::Template(self.template(name)?),
            (None, Some(text), None) => content::Kind::Text(TextContent {
                body: text.clone(),
                preview_url: false,
            }),
            (None, None, Some(file)) => return read_content(file),
            _ => bail!("give --template, --text or --content"),
        };
        Ok(Content {
            kind: Some(kind),
            reply_to: None,
        })
    }

    fn template(&self, name: &str) -> anyhow::Result<TemplateContent> {
        let mut body: Vec<TemplateParameter> = self.parameters.iter().map(|text| parameter("", text)).collect();
        for named in &self.named_parameters {
            let (name, text) = named.split_once('=').context("write --named-param NAME=TEXT")?;
            body.push(parameter(name, text));
        }
        Ok(TemplateContent {
            name: name.to_owned(),
            language: self.language.clone(),
            header_parameters: self.header.iter().map(|text| parameter("", text)).collect(),
            body_parameters: body,
            buttons: self.buttons.iter().map(|button| button.0.clone()).collect(),
            ..TemplateContent::default()
        })
    }
}
