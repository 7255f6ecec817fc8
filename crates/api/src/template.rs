//! What a template consists of: kept in the log, and what is sent checked against it before Meta would refuse it.

use crate::{
    content::{self, ParsedContent},
    problems::Problems,
};
use assent_domain::{
    gates::TemplateFacts,
    values::{Alias, TemplateDefinition, TemplateRef},
};
use assent_whatsapp::{
    client::TemplateInfo,
    message::{Recipient, Template, WrittenTemplate},
    template::{Definition, Part},
};
use serde_json::{Value, json};

/// Most bytes of a definition, as JSON. Ten cards with everything in them have about 10 KiB; an event has at most 256 KiB.
pub const DEFINITION_BYTES_MAX: usize = 64 * 1024;

/// What the log keeps of a listed template; `None` if the listing does not say what it consists of, or says too much.
pub fn recorded(info: &TemplateInfo) -> Option<TemplateDefinition> {
    let definition = Definition::from_info(info)?.without_examples();
    let components: Vec<Value> = definition.components.iter().map(Part::to_value).collect();
    if components.is_empty() {
        return None;
    }
    let recorded = json!({"parameter_format": definition.parameter_format.as_str(), "components": components});
    if recorded.to_string().len() > DEFINITION_BYTES_MAX {
        tracing::warn!(
            template = definition.name,
            "a template is too large to be kept; messages are not checked against it"
        );
        return None;
    }
    Some(TemplateDefinition(recorded))
}

/// The definition of a template, if the log has it and all of it is understood: what is not is for Meta to judge.
pub fn definition(template: &TemplateRef, facts: &TemplateFacts) -> Option<Definition> {
    let mut listed = facts.definition.as_ref()?.0.clone();
    let fields = listed.as_object_mut()?;
    fields.insert("name".to_owned(), json!(template.name.as_str()));
    fields.insert("language".to_owned(), json!(template.language.as_str()));
    let category = facts.category.as_str().to_ascii_uppercase();
    fields.insert("category".to_owned(), json!(category));
    Definition::from_value(listed).filter(|definition| is_understood(&definition.components))
}

fn is_understood(parts: &[Part]) -> bool {
    parts.iter().all(|part| match part {
        Part::Other(_) => false,
        Part::Carousel(cards) => cards.iter().all(|card| is_understood(&card.components)),
        Part::Header(_) | Part::Body(_) | Part::Footer(_) | Part::Buttons(_) | Part::LimitedTimeOffer(_) => true,
    })
}

/// Adds what keeps a message from fitting its template, which Meta would answer with 132000, 132005, 132012, 132018 or 131062.
/// The content's path in the request is `content`, the recipient's is `to`. Anything but a template fits.
pub fn check_fit(definition: &Definition, content: &ParsedContent, to: &Alias, problems: &mut Problems) {
    let ParsedContent::Template { components, .. } = content else {
        return;
    };
    if matches!(to, Alias::UserId(_))
        && let Err(invalid) = definition.check_recipient(&Recipient::BusinessScopedUser(String::new()))
    {
        for problem in &invalid.problems {
            problems.add("to", content::describe(problem));
        }
    }
    let written = WrittenTemplate {
        name: definition.name.clone(),
        language: definition.language.clone(),
        components: components.0.clone(),
    };
    let fit = match Template::from_written(&written) {
        Ok(message) => definition
            .check(&message)
            .map_err(|invalid| (invalid, message.components)),
        Err(invalid) => Err((invalid, Vec::new())),
    };
    if let Err((invalid, components)) = fit {
        for problem in &invalid.problems {
            let field = content::template_path(&components, "content.template", &problem.path);
            problems.add(field, content::describe(problem));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assent_domain::{
        events::{ObservedFrom, QualityRating, TemplateObserved, TemplateStatus},
        values::{Category, TemplateComponents, TenantId, Timestamp, UserId, WabaId},
    };

    fn template() -> TemplateRef {
        TemplateRef {
            name: "order_ready".parse().unwrap(),
            language: "en_US".parse().unwrap(),
        }
    }

    fn listed(components: Value) -> TemplateInfo {
        let mut listed = json!({"name": "order_ready", "language": "en_US", "parameter_format": "POSITIONAL"});
        listed["components"] = components;
        TemplateInfo::from_value(listed).unwrap()
    }

    fn facts(category: Category, definition: Option<TemplateDefinition>) -> TemplateFacts {
        let observed = TemplateObserved {
            tenant: TenantId::try_new("acme").unwrap(),
            waba: WabaId::try_new("215500000000001").unwrap(),
            template: template(),
            template_id: None,
            status: TemplateStatus::Approved,
            category,
            announced: None,
            quality: QualityRating::Unknown,
            reason: None,
            definition,
            observed_from: ObservedFrom::Poll,
            observed_at: Timestamp::from_micros(1),
        };
        TemplateFacts::new(&observed, 1)
    }

    fn known(category: Category, components: Value) -> Option<Definition> {
        definition(&template(), &facts(category, recorded(&listed(components))))
    }

    fn misfits(definition: &Definition, components: Value, to: &Alias) -> Vec<String> {
        let content = ParsedContent::Template {
            template: template(),
            components: TemplateComponents(components),
        };
        let mut problems = Problems::new();
        check_fit(definition, &content, to, &mut problems);
        let Err(error) = problems.into_result() else {
            return Vec::new();
        };
        error.fields().iter().map(|problem| problem.field.clone()).collect()
    }

    fn user() -> Alias {
        Alias::UserId(UserId::try_new("US.40817735520916").unwrap())
    }

    #[test]
    fn what_the_log_keeps_of_a_template_is_enough_to_check_messages() {
        let body =
            json!({"type": "BODY", "text": "Hi {{1}}, it is {{2}}.", "example": {"body_text": [["Ana", "now"]]}});
        let definition = known(Category::Utility, json!([body])).unwrap();
        let texts = |texts: &[&str]| {
            let parameters: Vec<Value> = texts.iter().map(|text| json!({"type": "text", "text": text})).collect();
            json!([{"type": "body", "parameters": parameters}])
        };
        assert_eq!(misfits(&definition, texts(&["Ana", "ready"]), &user()), [""; 0]);
        assert_eq!(
            misfits(&definition, texts(&["Ana"]), &user()),
            ["content.template.body_parameters"]
        );
        assert_eq!(misfits(&definition, json!([]), &user()), ["content.template"]);
    }

    #[test]
    fn a_one_time_password_needs_a_phone_number() {
        let components = json!([
            {"type": "BODY", "add_security_recommendation": true},
            {"type": "BUTTONS", "buttons": [{"type": "OTP", "otp_type": "COPY_CODE"}]}]);
        let definition = known(Category::Authentication, components).unwrap();
        let code = json!([
            {"type": "body", "parameters": [{"type": "text", "text": "123456"}]},
            {"type": "button", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": "123456"}]}]);
        assert_eq!(misfits(&definition, code.clone(), &user()), ["to"]);
        let phone = Alias::Phone("+12025550142".parse().unwrap());
        assert_eq!(misfits(&definition, code, &phone), [""; 0]);
    }

    #[test]
    fn nothing_is_checked_against_what_is_not_wholly_understood_or_too_large_to_be_kept() {
        assert!(known(Category::Utility, json!([{"type": "NOVEL"}])).is_none());
        assert!(
            known(
                Category::Utility,
                json!([{"type": "BODY", "text": "x".repeat(DEFINITION_BYTES_MAX)}])
            )
            .is_none()
        );
        assert!(known(Category::Utility, json!([])).is_none());
        assert!(definition(&template(), &facts(Category::Utility, None)).is_none());
    }
}
