//! What people do on demand, and what is hidden about them.

use serde_json::{Value, json};

use super::{Control, ControlError, PAGE_MAX, phone};
use crate::sample_files::sample;
use crate::world::{Choice, NewFile, PersonView, TruthChange};

/// A file a person sends. Its contents are somebody's, so it has no `Debug`.
pub struct PersonFile {
    /// MIME type, parameters included; that of the sample file of its kind unless given.
    pub mime_type: Option<String>,
    /// Contents.
    pub bytes: Vec<u8>,
}

impl Control {
    /// A person writes a text to a number (`None`: the first one). Gives the wamid.
    pub fn write_text(&self, from: &str, number_id: Option<&str>, text: &str) -> Result<String, ControlError> {
        self.write(from, number_id, json!({"type": "text", "text": {"body": text}}))
    }

    /// A person writes any kind of message: `content` holds `type` and the member it names, perhaps `context`. A media
    /// message without an `id` carries a small real file.
    pub fn write(&self, from: &str, number_id: Option<&str>, content: Value) -> Result<String, ControlError> {
        let kind = content["type"].as_str().unwrap_or_default().to_owned();
        let has_file = matches!(kind.as_str(), "image" | "video" | "audio" | "document" | "sticker");
        if has_file && content[&kind].get("id").is_none() {
            return self.send_file(from, number_id, content, None);
        }
        if kind.is_empty() || content.get(&kind).is_none() && kind != "unsupported" {
            return Err(ControlError::Invalid(
                "message needs type and the member it names".to_owned(),
            ));
        }
        self.person(from, number_id, |world, now_ms, number, phone, out| {
            world.person_writes(now_ms, number, phone, content, out)
        })
    }

    /// A person sends a file. `content` holds `type` (`image`, `video`, `audio`, `document` or `sticker`) and what is
    /// said beside the file; without a file they send a small real one. Gives the wamid.
    pub fn send_file(
        &self,
        from: &str,
        number_id: Option<&str>,
        mut content: Value,
        file: Option<PersonFile>,
    ) -> Result<String, ControlError> {
        let kind = content["type"].as_str().unwrap_or_default().to_owned();
        let sample =
            sample(&kind).ok_or_else(|| ControlError::Invalid(format!("a message of type {kind:?} has no file")))?;
        if content.get(&kind).is_none() {
            content[&kind] = json!({});
        }
        if !content[&kind].is_object() {
            return Err(ControlError::Invalid(format!("message.{kind} must be an object")));
        }
        let file = if let Some(PersonFile { mime_type, bytes }) = file {
            NewFile {
                mime_type: mime_type.unwrap_or(sample.mime_type),
                bytes: bytes.into(),
            }
        } else {
            if kind == "audio" && content[&kind].get("voice").is_none() {
                content[&kind]["voice"] = json!(true);
            }
            sample
        };
        self.person(from, number_id, |world, now_ms, number, phone, out| {
            Ok(world.person_sends_file(now_ms, number, phone, content, file, out)?)
        })?
    }

    /// A person sends a file of over 100 MB: the message arrives with error 131052 instead. Gives the wamid.
    pub fn send_too_large_file(&self, from: &str, number_id: Option<&str>, kind: &str) -> Result<String, ControlError> {
        self.person(from, number_id, |world, now_ms, number, phone, out| {
            world.person_sends_too_much(now_ms, number, phone, kind, out)
        })
    }

    /// A person taps a template's quick reply, a reply button or a row of a list by its position, or answers a request for
    /// their location. Gives the wamid of what they send by it.
    pub fn tap(&self, wamid: &str, button: usize) -> Result<String, ControlError> {
        self.choose(wamid, &Choice::At(button))
    }

    /// A person taps the reply button or row of this id. Gives the wamid of what they send by it.
    pub fn tap_id(&self, wamid: &str, id: &str) -> Result<String, ControlError> {
        self.choose(wamid, &Choice::Id(id.to_owned()))
    }

    /// A person fills in a flow; `answers` is an object. Gives the wamid of what they send by it.
    pub fn fill_in(&self, wamid: &str, answers: Value) -> Result<String, ControlError> {
        if !answers.is_object() {
            return Err(ControlError::Invalid("form must be an object".to_owned()));
        }
        self.choose(wamid, &Choice::Form(answers))
    }

    fn choose(&self, wamid: &str, choice: &Choice) -> Result<String, ControlError> {
        self.engine
            .with(|world, now_ms, out| Ok(world.person_taps(now_ms, wamid, choice, out)?))
    }

    /// A person reads a delivered message.
    pub fn read(&self, wamid: &str) -> Result<(), ControlError> {
        self.engine
            .with(|world, now_ms, out| Ok(world.person_reads(now_ms, wamid, out)?))
    }

    /// A person blocks a number.
    pub fn block(&self, from: &str, number_id: Option<&str>) -> Result<(), ControlError> {
        self.person(from, number_id, |world, now_ms, number, phone, out| {
            world.person_blocks(now_ms, number, phone, out);
        })
    }

    /// A person reports a number as spam.
    pub fn report_spam(&self, from: &str, number_id: Option<&str>) -> Result<(), ControlError> {
        self.person(from, number_id, |world, now_ms, number, phone, out| {
            world.person_reports(now_ms, number, phone, out);
        })
    }

    /// A person moves to another phone number; every number they have had to do with is told.
    pub fn change_number(&self, from: &str, to: &str) -> Result<(), ControlError> {
        let (old, new) = (phone(from)?, phone(to)?);
        if old == new {
            return Err(ControlError::Invalid("that is the same number".to_owned()));
        }
        self.engine
            .with(|world, now_ms, out| world.person_changes_number(now_ms, old, new, out));
        Ok(())
    }

    /// A person gets another business-scoped user id; every number they have had to do with is told.
    pub fn change_user_id(&self, from: &str) -> Result<(), ControlError> {
        let phone = phone(from)?;
        self.engine
            .with(|world, now_ms, out| world.person_changes_user_id(now_ms, phone, out));
        Ok(())
    }

    /// A person unblocks a number.
    pub fn unblock(&self, from: &str, number_id: Option<&str>) -> Result<(), ControlError> {
        self.person(from, number_id, |world, _, number, phone, _| {
            world.person_unblocks(number, phone);
        })
    }

    /// A person stops (or resumes) marketing with WhatsApp's own control; `user_preferences` reports it.
    pub fn platform_stop(&self, from: &str, number_id: Option<&str>, stop: bool) -> Result<(), ControlError> {
        self.person(from, number_id, |world, now_ms, number, phone, out| {
            world.person_sets_preference(now_ms, number, phone, stop, out);
        })
    }

    /// The hidden truth about a person, and what has passed.
    pub fn user(&self, phone_number: &str) -> Result<PersonView, ControlError> {
        let phone = phone(phone_number)?;
        Ok(self.engine.with(|world, _, _| world.person_view(phone)))
    }

    /// The hidden truth about everybody met so far, in the order of their numbers: those after `after`, at most `limit`.
    pub fn users(&self, after: u64, limit: usize) -> Vec<(String, PersonView)> {
        let views = self
            .engine
            .with(|world, _, _| world.people_views(after, limit.min(PAGE_MAX)));
        views
            .into_iter()
            .map(|(phone, view)| (phone.to_string(), view))
            .collect()
    }

    /// Changes the hidden truth about a person.
    pub fn change_user(&self, phone_number: &str, change: &TruthChange) -> Result<(), ControlError> {
        let phone = phone(phone_number)?;
        self.engine.with(|world, _, _| world.change_person(phone, change));
        Ok(())
    }
}
