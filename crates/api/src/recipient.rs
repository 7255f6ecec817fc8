//! Whom a message goes to.

use crate::problems::{Problems, path};
use assent_domain::values::{Alias, PhoneNumber, UserId};
use assent_proto::v1::{Recipient, recipient};

/// The alias a recipient is named by; `field` is the path of the recipient in the request.
pub fn parse(recipient: Option<&Recipient>, field: &str, problems: &mut Problems) -> Option<Alias> {
    match recipient.and_then(|recipient| recipient.alias.as_ref()) {
        Some(recipient::Alias::PhoneNumber(number)) => problems
            .keep(&path(field, "phone_number"), PhoneNumber::try_new(number))
            .map(Alias::Phone),
        Some(recipient::Alias::UserId(id)) => problems
            .keep(&path(field, "user_id"), UserId::try_new(id))
            .map(Alias::UserId),
        None => {
            problems.add(field, "must name a phone_number or a user_id");
            None
        }
    }
}

/// The alias as a caller reads it; a `wa_id` is a phone number to them.
pub fn render(alias: &Alias) -> Recipient {
    let alias = match alias {
        Alias::Phone(number) => recipient::Alias::PhoneNumber(number.e164()),
        Alias::WaId(wa_id) => recipient::Alias::PhoneNumber(format!("+{}", wa_id.as_str())),
        Alias::UserId(user_id) => recipient::Alias::UserId(user_id.as_str().to_owned()),
    };
    Recipient { alias: Some(alias) }
}

/// Every alias that may be the same account: the one given first, other spellings of the same number after it.
pub fn candidates(alias: &Alias) -> Vec<Alias> {
    let spellings = match alias {
        Alias::Phone(number) => number.alias_candidates(),
        Alias::WaId(wa_id) => {
            // Meta's own spelling; a number that no library knows has no other one.
            let number = PhoneNumber::try_new(&format!("+{}", wa_id.as_str()));
            number.map_or_else(|_| Vec::new(), |number| number.alias_candidates())
        }
        Alias::UserId(_) => Vec::new(),
    };
    let given = alias.canonical();
    let others = spellings
        .into_iter()
        .map(Alias::Phone)
        .filter(|spelling| spelling.canonical() != given);
    std::iter::once(alias.clone()).chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use assent_domain::values::WaId;

    fn proto(alias: recipient::Alias) -> Recipient {
        Recipient { alias: Some(alias) }
    }

    #[test]
    fn a_recipient_is_read_back_from_what_is_rendered() {
        let recipients = [
            recipient::Alias::PhoneNumber("+12025550142".into()),
            recipient::Alias::UserId("US.40817735520916".into()),
        ];
        for recipient in recipients.map(proto) {
            let mut problems = Problems::new();
            let alias = parse(Some(&recipient), "to", &mut problems).unwrap();
            assert_eq!(render(&alias), recipient);
        }
        let wa_id = Alias::WaId(WaId::try_new("12025550142").unwrap());
        assert_eq!(
            render(&wa_id),
            proto(recipient::Alias::PhoneNumber("+12025550142".into()))
        );
    }

    #[test]
    fn a_bad_recipient_is_named_by_its_field_without_its_value() {
        let mut problems = Problems::new();
        let bad = proto(recipient::Alias::PhoneNumber("12025550177".into()));
        assert_eq!(parse(Some(&bad), "to", &mut problems), None);
        assert_eq!(parse(None, "contact", &mut problems), None);
        let error = problems.into_error();
        assert_eq!(error.fields()[0].field, "to.phone_number");
        assert_eq!(error.fields()[1].field, "contact");
        assert!(!format!("{error:?}").contains("2025550177"));
    }

    #[test]
    fn the_address_as_given_comes_before_its_other_spellings() {
        let digits = |alias: &Alias| match alias {
            Alias::Phone(number) => number.digits().to_owned(),
            Alias::WaId(wa_id) => wa_id.as_str().to_owned(),
            Alias::UserId(_) => String::new(),
        };
        let brazil = Alias::Phone(PhoneNumber::try_new("+5511987654321").unwrap());
        let spellings: Vec<_> = candidates(&brazil).iter().map(digits).collect();
        assert_eq!(spellings, ["5511987654321", "551187654321"]);
        let wa_id = Alias::WaId(WaId::try_new("551187654321").unwrap());
        let spellings: Vec<_> = candidates(&wa_id).iter().map(digits).collect();
        assert_eq!(spellings, ["551187654321", "5511987654321"]);
    }
}
