//! Paths in Meta's JSON as paths in our requests.

use assent_whatsapp::template::Part;

/// A path of a definition, e.g. `components[3].buttons[1].text`; `within` is where the definition's fields are.
pub(super) fn of_definition(within: &str, parts: &[Part], path: &str) -> String {
    match path {
        "message_send_ttl_seconds" => format!("{within}message_ttl_seconds"),
        "components" => format!("{within}parts"),
        path if path.starts_with("components") => format!("{within}parts{}", of_part(parts, path)),
        path => format!("{within}{path}"),
    }
}

/// What follows the parts, with its leading dot.
fn of_part(parts: &[Part], path: &str) -> String {
    let Some((index, rest)) = indexed(path, "components") else {
        return String::new();
    };
    match parts.get(index) {
        Some(Part::Header(_)) => format!(".header{}", leaf(rest)),
        Some(Part::Body(_)) => format!(".body{}", leaf(rest)),
        Some(Part::Footer(_)) => format!(".footer{}", leaf(rest)),
        Some(Part::Buttons(_)) => button(rest),
        Some(Part::LimitedTimeOffer(_)) => format!(".offer{}", rest.trim_start_matches(".limited_time_offer")),
        Some(Part::Carousel(cards)) => {
            let Some((at, within)) = indexed(rest.trim_start_matches('.'), "cards") else {
                return rest.to_owned();
            };
            let card = cards.get(at).map_or(&[][..], |card| card.components.as_slice());
            format!(".cards[{at}]{}", of_part(card, within.trim_start_matches('.')))
        }
        Some(Part::Other(_)) => ".other_json".to_owned(),
        None => String::new(),
    }
}

fn leaf(rest: &str) -> String {
    match rest {
        ".example.header_handle" => ".sample_handle".to_owned(),
        ".example" => ".examples".to_owned(),
        ".type" => String::new(),
        other => other.to_owned(),
    }
}

fn button(rest: &str) -> String {
    let Some((of_button, field)) = rest.rsplit_once("].") else {
        return rest.to_owned();
    };
    let field = match field {
        "text" => "label",
        "phone_number" => "business_phone",
        other => other,
    };
    format!("{of_button}].{field}")
}

/// The index of `name[index]` at the beginning of a path, and what follows.
fn indexed<'p>(path: &'p str, name: &str) -> Option<(usize, &'p str)> {
    let (index, rest) = path.strip_prefix(name)?.strip_prefix('[')?.split_once(']')?;
    Some((index.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use assent_whatsapp::template::Definition;
    use serde_json::json;

    #[test]
    fn paths_of_a_definition_are_those_of_the_request() {
        let card = json!({"components": [{"type": "BODY", "text": "a"}, {"type": "BUTTONS", "buttons": []}]});
        let definition = Definition::from_value(json!({"name": "a", "language": "en", "components": [
            {"type": "HEADER", "format": "IMAGE"}, {"type": "BODY", "text": "a"}, {"type": "BUTTONS", "buttons": []},
            {"type": "CAROUSEL", "cards": [card]}, {"type": "NOVEL"},
            {"type": "LIMITED_TIME_OFFER", "limited_time_offer": {"text": "a"}}]}))
        .unwrap();
        let of = |path: &str| of_definition("definition.", &definition.components, path);
        assert_eq!(of("name"), "definition.name");
        assert_eq!(of("components"), "definition.parts");
        assert_eq!(of("message_send_ttl_seconds"), "definition.message_ttl_seconds");
        assert_eq!(
            of("components[0].example.header_handle"),
            "definition.parts.header.sample_handle"
        );
        assert_eq!(of("components[1].example"), "definition.parts.body.examples");
        assert_eq!(of("components[2].buttons"), "definition.parts.buttons");
        assert_eq!(of("components[2].buttons[1].text"), "definition.parts.buttons[1].label");
        assert_eq!(of("components[3].cards"), "definition.parts.cards");
        assert_eq!(of("components[3].cards[0].components"), "definition.parts.cards[0]");
        assert_eq!(
            of("components[3].cards[0].components[0].text"),
            "definition.parts.cards[0].body.text"
        );
        let nested = "components[3].cards[0].components[1].buttons[0].url";
        assert_eq!(of(nested), "definition.parts.cards[0].buttons[0].url");
        assert_eq!(of("components[4].x"), "definition.parts.other_json");
        assert_eq!(
            of("components[5].limited_time_offer.text"),
            "definition.parts.offer.text"
        );
    }
}
