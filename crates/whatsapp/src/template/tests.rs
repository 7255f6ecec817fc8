//! Definitions as Meta lists them, and messages that fit and do not.

use serde_json::{Value, json};

use super::*;
use crate::message::{
    ButtonKind, CarouselCard, Component, Currency, DateTime, Media, MediaSource, Parameter, ParameterValue, Recipient,
    Template,
};

fn definition(category: &str, format: &str, components: Value) -> Definition {
    let mut listed =
        json!({"name": "order_ready", "language": "en_US", "category": category, "parameter_format": format});
    listed["components"] = components;
    Definition::from_value(listed).unwrap()
}

/// A template with everything ordinary: media header, two variables, footer, three buttons.
fn order_ready() -> Definition {
    definition(
        "UTILITY",
        "POSITIONAL",
        json!([
            {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["4:aGFuZGxl"]}},
            {"type": "BODY", "text": "Hi {{1}}, your frames are ready. Please bring {{2}} when you collect them.",
                "example": {"body_text": [["Ana", "$24.50"]]}},
            {"type": "FOOTER", "text": "Marlow Optics"},
            {"type": "BUTTONS", "buttons": [
                {"type": "QUICK_REPLY", "text": "Stop updates"},
                {"type": "URL", "text": "Details", "url": "https://shop.example/{{1}}", "example": ["o/55"]},
                {"type": "PHONE_NUMBER", "text": "Call", "phone_number": "+12025550100"}]}
        ]),
    )
}

fn named() -> Definition {
    definition(
        "UTILITY",
        "NAMED",
        json!([
            {"type": "HEADER", "format": "TEXT", "text": "Order {{order}} is here",
                "example": {"header_text_named_params": [{"param_name": "order", "example": "M-55"}]}},
            {"type": "BODY", "text": "Hi {{name}}, your frames can be collected from {{day}} on.",
                "example": {"body_text_named_params": [{"param_name": "name", "example": "Ana"},
                    {"param_name": "day", "example": "Monday"}]}}
        ]),
    )
}

fn text(value: &str) -> Parameter {
    Parameter::positional(ParameterValue::Text(value.into()))
}

fn image() -> Parameter {
    let source = MediaSource::Id("6620017734410".into());
    Parameter::positional(ParameterValue::Image(Media { source }))
}

fn money() -> Parameter {
    Parameter::positional(ParameterValue::Currency(Currency {
        fallback_value: "$24.50".into(),
        code: "USD".into(),
        amount_1000: 24_500,
    }))
}

fn url_button(index: u8, value: &str) -> Component {
    Component::Button {
        kind: ButtonKind::Url,
        index,
        parameters: vec![text(value)],
    }
}

fn message(components: Vec<Component>) -> Template {
    Template {
        name: "order_ready".into(),
        language: "en_US".into(),
        components,
    }
}

fn good_message() -> Template {
    message(vec![
        Component::Header(vec![image()]),
        Component::Body(vec![text("Ana"), money()]),
        url_button(1, "o/55"),
    ])
}

fn paths(result: Result<(), crate::message::Invalid>) -> Vec<String> {
    let problems = result.err().map(|invalid| invalid.problems).unwrap_or_default();
    problems.into_iter().map(|problem| problem.path).collect()
}

fn with_component(at: usize, component: Component) -> Template {
    let mut message = good_message();
    message.components[at] = component;
    message
}

#[test]
fn a_message_that_fits_has_no_problems() {
    assert_eq!(order_ready().check(&good_message()), Ok(()));
    let date = Parameter::positional(ParameterValue::DateTime(DateTime {
        fallback_value: "May 3".into(),
    }));
    let dated = with_component(1, Component::Body(vec![text("Ana"), date]));
    assert_eq!(order_ready().check(&dated), Ok(()));
}

#[test]
fn a_message_in_a_log_is_checked_like_one_to_be_written() {
    let written = |message: Template| crate::message::WrittenTemplate {
        components: serde_json::to_value(&message.components).unwrap(),
        name: message.name,
        language: message.language,
    };
    assert_eq!(order_ready().check_written(&written(good_message())), Ok(()));
    let wrong = with_component(1, Component::Body(vec![text("Ana")]));
    assert_eq!(
        order_ready().check_written(&written(wrong.clone())),
        order_ready().check(&wrong)
    );
}

#[test]
fn without_examples_a_definition_says_the_same_of_a_message_and_holds_none() {
    let card = json!({"components": [
        {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["4:aGFuZGxl"]}},
        {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "See", "url": "https://a.example/{{1}}", "example": ["secret"]}]}]});
    let rich = definition(
        "MARKETING",
        "POSITIONAL",
        json!([
            {"type": "BODY", "text": "Only today, {{1}}.", "example": {"body_text": [["secret"]]}},
            {"type": "BUTTONS", "buttons": [{"type": "COPY_CODE", "example": "secret"}]},
            {"type": "CAROUSEL", "cards": [card.clone(), card]},
            {"type": "NOVEL", "example": "secret"}]),
    );
    for whole in [order_ready(), named(), rich] {
        let bare = whole.clone().without_examples();
        let written = serde_json::to_value(&bare).unwrap();
        assert_eq!(
            Definition::from_value(written.clone()).as_ref(),
            Some(&bare),
            "it survives being written"
        );
        let written = written.to_string();
        for private in ["secret", "Ana", "aGFuZGxl", "+12025550100", "example\":"] {
            assert!(!written.contains(private), "{private} in {written}");
        }
        for message in [good_message(), Template::new("order_ready", "en_US")] {
            assert_eq!(bare.check(&message), whole.check(&message));
        }
    }
}

#[test]
fn every_way_not_to_fit_has_its_path() {
    let cases: [(Template, &[&str]); 8] = [
        (
            with_component(1, Component::Body(vec![text("Ana")])),
            &["template.components[1].parameters"],
        ),
        (
            with_component(0, Component::Header(vec![text("Ana")])),
            &["template.components[0].parameters[0].type"],
        ),
        (
            with_component(
                1,
                Component::Body(vec![
                    text("Ana"),
                    Parameter::named("day", ParameterValue::Text("x".into())),
                ]),
            ),
            &[
                "template.components",
                "template.components[1].parameters[1].parameter_name",
            ],
        ),
        (
            with_component(2, url_button(0, "o/55")),
            &["template.components[2].sub_type", "template.components"],
        ),
        (
            with_component(2, url_button(2, "o/55")),
            &["template.components[2].parameters", "template.components"],
        ),
        (
            with_component(2, url_button(7, "o/55")),
            &["template.components[2].index", "template.components"],
        ),
        (
            with_component(2, url_button(1, &"x".repeat(1_990))),
            &["template.components[2].parameters[0].text"],
        ),
        (
            with_component(1, Component::Body(vec![text(&"x".repeat(1_000)), money()])),
            &["template.components"],
        ),
    ];
    for (message, expected) in cases {
        assert_eq!(paths(order_ready().check(&message)), expected, "{message:?}");
    }
}

#[test]
fn everything_missing_is_told_at_once() {
    let mut empty = message(Vec::new());
    "other".clone_into(&mut empty.name);
    "de".clone_into(&mut empty.language);
    let invalid = order_ready().check(&empty).unwrap_err();
    let found: Vec<&str> = invalid.problems.iter().map(|problem| problem.found.as_str()).collect();
    assert_eq!(
        found,
        [
            "the name of another template",
            "another language",
            "no header parameter",
            "0 parameters for the body",
            "nothing for the button at index 1"
        ]
    );
}

#[test]
fn named_variables_are_filled_by_name() {
    let given = |names: [&str; 2]| {
        let parameter = |name: &str| Parameter::named(name, ParameterValue::Text("Ana".into()));
        message(vec![
            Component::Header(vec![Parameter::named("order", ParameterValue::Text("M-55".into()))]),
            Component::Body(names.map(parameter).to_vec()),
        ])
    };
    // The order does not matter.
    assert_eq!(named().check(&given(["day", "name"])), Ok(()));
    assert_eq!(
        paths(named().check(&given(["name", "hour"]))),
        ["template.components[1].parameters[1].parameter_name"]
    );
    assert_eq!(
        paths(named().check(&given(["name", "name"]))),
        ["template.components[1].parameters"]
    );
    let positional = message(vec![
        Component::Header(vec![text("M-55")]),
        Component::Body(vec![text("a"), text("b")]),
    ]);
    assert_eq!(paths(named().check(&positional)).len(), 3);
}

#[test]
fn a_one_time_password_is_short_and_the_same_in_body_and_button() {
    let otp = definition(
        "AUTHENTICATION",
        "POSITIONAL",
        json!([
            {"type": "BODY", "add_security_recommendation": true},
            {"type": "FOOTER", "code_expiration_minutes": 10},
            {"type": "BUTTONS", "buttons": [{"type": "OTP", "otp_type": "COPY_CODE"}]}
        ]),
    );
    let with = |body: &str, button: &str| message(vec![Component::Body(vec![text(body)]), url_button(0, button)]);
    assert_eq!(otp.check(&with("481516", "481516")), Ok(()));
    assert_eq!(
        paths(otp.check(&with("481516", "481517"))),
        ["template.components[1].parameters[0].text"]
    );
    let long = "1234567890123456";
    assert_eq!(paths(otp.check(&with(long, long))).len(), 2);
    assert_eq!(otp.render(&with("481516", "481516")).unwrap().body, "481516");
    assert_eq!(otp.validate(), Ok(()));
    let phone = Recipient::Phone("+12025550142".into());
    let user = Recipient::BusinessScopedUser("US.408".into());
    assert_eq!(otp.check_recipient(&phone), Ok(()));
    assert_eq!(paths(otp.check_recipient(&user)), ["recipient"]);
    assert_eq!(order_ready().check_recipient(&user), Ok(()));
}

fn carousel() -> Definition {
    let card = json!({"components": [
        {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["4:a"]}},
        {"type": "BODY", "text": "Frame {{1}} suits you, we think.", "example": {"body_text": [["round"]]}},
        {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "More"}]}]});
    definition(
        "MARKETING",
        "POSITIONAL",
        json!([{"type": "BODY", "text": "Picked for you"}, {"type": "CAROUSEL", "cards": [card, card]}]),
    )
}

#[test]
fn cards_are_checked_one_by_one() {
    let card = |card_index: u8, components: Vec<Component>| CarouselCard { card_index, components };
    let full = || vec![Component::Header(vec![image()]), Component::Body(vec![text("round")])];
    let with = |cards: Vec<CarouselCard>| message(vec![Component::Carousel(cards)]);
    assert_eq!(carousel().check(&with(vec![card(0, full()), card(1, full())])), Ok(()));
    assert_eq!(
        paths(carousel().check(&with(vec![card(0, full()), card(5, full())]))),
        ["template.components[0].cards[1].card_index"]
    );
    let bare = carousel().check(&with(vec![card(0, full()), card(1, Vec::new())]));
    assert_eq!(paths(bare), ["template.components[0].cards[1].components"; 2]);
    assert_eq!(paths(carousel().check(&message(Vec::new()))), ["template.components"]);
    let long = vec![
        Component::Header(vec![image()]),
        Component::Body(vec![text(&"x".repeat(150))]),
    ];
    let too_long = carousel().check(&with(vec![card(0, full()), card(1, long)]));
    assert_eq!(paths(too_long), ["template.components[0].cards[1].components"]);
}

#[test]
fn an_offer_that_ends_needs_its_end() {
    let offer = definition(
        "MARKETING",
        "POSITIONAL",
        json!([{"type": "LIMITED_TIME_OFFER", "limited_time_offer": {"text": "Ends soon", "has_expiration": true}},
            {"type": "BODY", "text": "Two for one"}]),
    );
    let end = Component::LimitedTimeOffer {
        expiration_time_ms: 1_777_800_000_000,
    };
    assert_eq!(offer.check(&message(vec![end.clone()])), Ok(()));
    assert_eq!(paths(offer.check(&message(Vec::new()))), ["template.components"]);
    let mut unexpected = good_message();
    unexpected.components.push(end);
    assert_eq!(paths(order_ready().check(&unexpected)), ["template.components[3]"]);
}

#[test]
fn a_preview_shows_what_the_user_will_see() {
    let preview = order_ready().render(&good_message()).unwrap();
    assert_eq!(
        preview.body,
        "Hi Ana, your frames are ready. Please bring $24.50 when you collect them."
    );
    assert_eq!(preview.footer.as_deref(), Some("Marlow Optics"));
    let values: Vec<_> = preview
        .buttons
        .iter()
        .map(|button| button.value.as_deref().unwrap())
        .collect();
    assert_eq!(values, ["Stop updates", "https://shop.example/o/55", "+12025550100"]);
    assert!(matches!(
        preview.header,
        Some(PreviewHeader::Media { source: Some(_), .. })
    ));
    assert!(!format!("{preview:?}").contains("Ana"));
    assert!(order_ready().render(&message(Vec::new())).is_err());
}

#[test]
fn numbers_and_not_places_decide_what_fills_a_variable() {
    let swapped = definition(
        "UTILITY",
        "POSITIONAL",
        json!([{"type": "BODY", "text": "For {{2}} from {{1}}: {{2}}!", "example": {"body_text": [["a", "b"]]}}]),
    );
    let given = message(vec![Component::Body(vec![text("first"), text("second")])]);
    assert_eq!(swapped.render(&given).unwrap().body, "For second from first: second!");
    assert_eq!(swapped.render_examples().body, "For b from a: b!");
}

#[test]
fn examples_fill_a_preview_of_named_variables_and_links() {
    let preview = named().render_examples();
    assert_eq!(preview.header, Some(PreviewHeader::Text("Order M-55 is here".into())));
    assert_eq!(preview.body, "Hi Ana, your frames can be collected from Monday on.");
    let mut whole = order_ready();
    let Part::Buttons(buttons) = &mut whole.components[3] else {
        panic!()
    };
    buttons[1].action = ButtonAction::Url {
        url: "https://shop.example/{{1}}".into(),
        example: Some("https://shop.example/o/55".into()),
    };
    let link = whole.render_examples().buttons[1].value.clone();
    assert_eq!(link.as_deref(), Some("https://shop.example/o/55"));
}

#[test]
fn a_definition_is_written_as_it_was_read() {
    for definition in [order_ready(), named(), carousel()] {
        let written = serde_json::to_value(&definition).unwrap();
        assert_eq!(Definition::from_value(written.clone()).unwrap(), definition);
        let again = serde_json::to_value(Definition::from_value(written.clone()).unwrap()).unwrap();
        assert_eq!(again, written);
    }
    let odd = json!([{"type": "BODY", "text": "Hi", "novelty": 1}, {"type": "CALL_PERMISSION_REQUEST"},
        {"type": "BUTTONS", "buttons": [{"type": "FLOW", "text": "Book", "flow_id": "9011", "navigate_screen": "SLOT"}]}]);
    let definition = definition("UTILITY", "POSITIONAL", odd.clone());
    assert_eq!(serde_json::to_value(&definition.components).unwrap(), odd);
}

#[test]
fn what_has_another_shape_is_kept_whole() {
    let odd = [
        json!(1),
        json!({"type": "BUTTONS", "buttons": [1]}),
        json!({"type": "CAROUSEL", "cards": "x"}),
        json!({}),
    ];
    for value in odd {
        let part = Part::from_value(value.clone());
        if let Part::Carousel(cards) = &part {
            assert!(cards.is_empty());
            continue;
        }
        assert_eq!(part, Part::Other(value));
    }
    // However deep carousels lie in each other, they are read one level deep.
    let mut deep = json!({"type": "BODY", "text": "x"});
    for _ in 0..60 {
        deep = json!({"type": "CAROUSEL", "cards": [{"components": [deep]}]});
    }
    let Part::Carousel(cards) = Part::from_value(deep) else {
        panic!()
    };
    assert!(matches!(cards[0].components[0], Part::Other(_)));
}

// ---- lint ----

fn errors(definition: &Definition) -> Vec<String> {
    paths(definition.validate())
}

fn advice(definition: &Definition, severity: Severity) -> Vec<String> {
    let found = definition
        .lint()
        .into_iter()
        .filter(|finding| finding.severity == severity);
    found.map(|finding| finding.problem.path).collect()
}

fn with_body(text: &str, examples: &[&str]) -> Definition {
    definition(
        "UTILITY",
        "POSITIONAL",
        json!([{"type": "BODY", "text": text, "example": {"body_text": [examples]}}]),
    )
}

#[test]
fn ordinary_templates_are_not_objected_to() {
    for definition in [order_ready(), named(), carousel()] {
        assert_eq!(errors(&definition), Vec::<String>::new(), "{:?}", definition.lint());
        assert_eq!(
            advice(&definition, Severity::Warning),
            Vec::<String>::new(),
            "{:?}",
            definition.lint()
        );
    }
}

#[test]
fn underscores_in_names_of_variables_are_no_marks() {
    let example = |name: &str| json!({"param_name": name, "example": "Ana"});
    let named = definition(
        "UTILITY",
        "NAMED",
        json!([
            {"type": "HEADER", "format": "TEXT", "text": "Order {{order_id}} is here",
                "example": {"header_text_named_params": [example("order_id")]}},
            {"type": "BODY", "text": "Hi {{_name}}, your frames can be collected today.",
                "example": {"body_text_named_params": [example("_name")]}}
        ]),
    );
    assert_eq!(named.lint(), []);
}

#[test]
fn variables_have_words_around_them_numbers_in_a_row_and_examples() {
    let text = "components[0].text";
    let example = "components[0].example";
    let cases: [(&str, &[&str], &[&str]); 11] = [
        ("{{1}}, your order is on its way to you.", &["Ana"], &[text]),
        ("Your order is on its way to you, {{1}}", &["Ana"], &[text]),
        (
            "Hi {{1}} {{2}}, your order is on its way to you.",
            &["Ana", "Ruiz"],
            &[text],
        ),
        (
            "Hi {{1}}, your order {{3}} is on its way to you.",
            &["Ana", "A-17"],
            &[text],
        ),
        ("Hi {{name}}, your order is on its way to you.", &["Ana"], &[text]),
        ("Hi {{1}, your order is on its way to you.", &[], &[text]),
        ("Hi {{1}}, your order is on its way to you.", &[], &[example]),
        (
            "Hi {{1}}, your order is on its way to you.",
            &["Ana", "A-17"],
            &[example],
        ),
        ("Hi {{1}}, your order is on its way to you.", &[" "], &[example]),
        ("Your order is on its way to you.", &["Ana"], &[example]),
        ("Hi {{1}}, your order {{1}} is on its way to you.", &["Ana"], &[]),
    ];
    for (body, examples, expected) in cases {
        assert_eq!(errors(&with_body(body, examples)), expected, "{body}");
    }
    let long = "x".repeat(1_025);
    assert_eq!(errors(&with_body(&long, &[])), [text]);
}

#[test]
fn too_many_variables_open_marks_and_app_links_are_warned_of() {
    let cases = [
        ("Hi {{1}}, order {{2}} is ready.", &["Ana", "A-17"][..], 1),
        ("Your order is *ready to be collected.", &[], 1),
        (
            "Write to us at whatsapp://send?phone=12025550100 whenever you like.",
            &[],
            1,
        ),
        ("Pay at upi://pay?pa=x within a week, please.", &[], 1),
        ("Your order is *ready* to be collected.", &[], 0),
    ];
    for (body, examples, expected) in cases {
        let definition = with_body(body, examples);
        assert_eq!(errors(&definition), Vec::<String>::new(), "{body}");
        assert_eq!(advice(&definition, Severity::Warning).len(), expected, "{body}");
    }
    let findings = with_body("Write to us at whatsapp://send?phone=12025550100 at any time.", &[]).lint();
    let allowed: Vec<&str> = findings
        .iter()
        .map(|finding| finding.problem.allowed.as_str())
        .collect();
    assert!(allowed.contains(&"https://wa.me/12025550100"), "{allowed:?}");
}

fn with_buttons(buttons: Value) -> Definition {
    let mut components = json!([{"type": "BODY", "text": "Your order is ready."}, {"type": "BUTTONS"}]);
    components[1]["buttons"] = buttons;
    definition("UTILITY", "POSITIONAL", components)
}

#[test]
fn buttons_keep_metas_rules() {
    let reply = |text: &str| json!({"type": "QUICK_REPLY", "text": text});
    let link = |text: &str, url: &str| json!({"type": "URL", "text": text, "url": url});
    let phone = json!({"type": "PHONE_NUMBER", "text": "Call", "phone_number": "+12025550100"});
    let first = |field: &str| vec![format!("components[1].buttons[0].{field}")];
    let all = vec!["components[1].buttons".to_owned()];
    let cases = [
        (json!([link("A", "https://wa.me/12025550100")]), first("url")),
        (
            json!([link("A", "https://API.WhatsApp.com:443/send?phone=1")]),
            first("url"),
        ),
        (json!([link("A", "https://shop.example@wa.me/1")]), first("url")),
        (json!([link("A", "https://shop.example/wa.me")]), vec![]),
        (json!([link("A", "https://notwa.me/x")]), vec![]),
        (json!([link("A", "shop.example")]), first("url")),
        (
            json!([{"type": "URL", "text": "A", "url": "https://shop.example/{{1}}"}]),
            first("example"),
        ),
        (
            json!([{"type": "URL", "text": "A", "url": "https://shop.example/{{1}}/x", "example": ["o"]}]),
            first("url"),
        ),
        (
            json!([{"type": "URL", "text": "A", "url": "https://shop.example/{{id}}", "example": ["o"]}]),
            first("url"),
        ),
        (json!([reply("A label of more than 25 ch.")]), first("text")),
        (json!([reply("Hi {{1}}")]), first("text")),
        (json!([reply(" A")]), first("text")),
        (json!([reply("A"), reply("A")]), vec![]),
        (json!([reply("A"), phone, reply("B")]), all.clone()),
        (
            json!([phone, {"type": "PHONE_NUMBER", "text": "Call us", "phone_number": "+12025550101"}]),
            all.clone(),
        ),
        (
            json!([
                link("A", "https://a.example"),
                link("B", "https://b.example"),
                link("C", "https://c.example")
            ]),
            all.clone(),
        ),
        (json!([]), all.clone()),
        ((0..11).map(|number| reply(&format!("Button {number}"))).collect(), all),
        (
            json!([{"type": "COPY_CODE", "example": "A code of more than 20 ch."}]),
            first("example"),
        ),
    ];
    for (buttons, expected) in cases {
        let found = errors(&with_buttons(buttons.clone()));
        assert_eq!(found, expected, "{buttons}");
    }
    assert_eq!(advice(&order_ready(), Severity::Hint), ["components[3].buttons"]);
    let alike = with_buttons(json!([reply("A"), reply("A")]));
    assert_eq!(advice(&alike, Severity::Warning), ["components[1].buttons"]);
}

#[test]
fn headers_footers_and_offers_have_their_limits() {
    let with = |part: Value| {
        let body = json!({"type": "BODY", "text": "Your order is ready."});
        errors(&definition("UTILITY", "POSITIONAL", json!([body, part])))
    };
    assert_eq!(
        with(json!({"type": "HEADER", "format": "TEXT", "text": "x".repeat(61)})),
        ["components[1].text"]
    );
    let two =
        json!({"type": "HEADER", "format": "TEXT", "text": "A {{1}} b {{2}}", "example": {"header_text": ["x", "y"]}});
    assert_eq!(with(two), ["components[1].text"]);
    assert_eq!(
        with(json!({"type": "HEADER", "format": "IMAGE"})),
        ["components[1].example.header_handle"]
    );
    assert_eq!(
        with(json!({"type": "FOOTER", "text": "x".repeat(61)})),
        ["components[1].text"]
    );
    assert_eq!(
        with(json!({"type": "FOOTER", "text": "Hi {{1}}"})),
        ["components[1].text"]
    );
    assert_eq!(
        with(json!({"type": "FOOTER", "code_expiration_minutes": 91})),
        ["components[1].code_expiration_minutes"]
    );
    assert_eq!(with(json!({"type": "BODY", "text": "again"})), ["components"]);
    let offer =
        json!({"type": "LIMITED_TIME_OFFER", "limited_time_offer": {"text": "x".repeat(17), "has_expiration": true}});
    assert_eq!(with(offer), ["components[1].limited_time_offer.text"]);
    assert_eq!(errors(&definition("UTILITY", "POSITIONAL", json!([]))), ["components"]);
}

#[test]
fn an_offer_leaves_less_room_for_the_body_and_the_code() {
    let with = |chars: usize, code: &str| {
        errors(&definition(
            "MARKETING",
            "POSITIONAL",
            json!([{"type": "LIMITED_TIME_OFFER", "limited_time_offer": {"text": "Ends soon"}},
                {"type": "BODY", "text": "x".repeat(chars)},
                {"type": "BUTTONS", "buttons": [{"type": "COPY_CODE", "example": code}]}]),
        ))
    };
    assert_eq!(with(600, "MAY15"), Vec::<String>::new());
    assert_eq!(
        with(601, "A code of 16 ch."),
        ["components[1].text", "components[2].buttons[0].example"]
    );
}

#[test]
fn cards_are_alike_and_short() {
    let card = |format: &str, text: &str| {
        json!({"components": [{"type": "HEADER", "format": format, "example": {"header_handle": ["4:a"]}},
            {"type": "BODY", "text": text}]})
    };
    let with = |cards: Value| {
        let parts = json!([{"type": "BODY", "text": "Picked for you"}, {"type": "CAROUSEL", "cards": cards}]);
        errors(&definition("MARKETING", "POSITIONAL", parts))
    };
    assert_eq!(
        with(json!([card("IMAGE", "a"), card("IMAGE", "b")])),
        Vec::<String>::new()
    );
    assert_eq!(with(json!([card("IMAGE", "a")])), ["components[1].cards"]);
    assert_eq!(
        with(json!([card("IMAGE", "a"), card("VIDEO", &"x".repeat(161))])),
        [
            "components[1].cards[1].components",
            "components[1].cards[1].components[1].text"
        ]
    );
}

#[test]
fn categories_have_their_own_rules() {
    let text = |category: &str, text: &str| definition(category, "POSITIONAL", json!([{"type": "BODY", "text": text}]));
    let promotional = text(
        "UTILITY",
        "Your order is ready. Get 10% off your next one with our discount!",
    );
    assert_eq!(advice(&promotional, Severity::Warning), ["category"]);
    assert_eq!(
        advice(&text("UTILITY", "Your wholesale order is ready."), Severity::Warning),
        Vec::<String>::new()
    );
    assert_eq!(
        advice(&text("MARKETING", "Spring is here."), Severity::Hint),
        ["components"]
    );
    assert_eq!(errors(&text("NOVEL", "Spring is here.")), ["category"]);
    let with_ttl = |category: &str, seconds: i64| {
        let mut definition = text(category, "Your order is ready.");
        definition.message_send_ttl_seconds = Some(seconds);
        errors(&definition)
    };
    let ttl = ["message_send_ttl_seconds"];
    assert_eq!(with_ttl("UTILITY", 7_200), Vec::<String>::new());
    assert_eq!(with_ttl("UTILITY", -1), Vec::<String>::new());
    assert_eq!(with_ttl("UTILITY", 43_201), ttl);
    assert_eq!(with_ttl("AUTHENTICATION", 901), ttl);
    assert_eq!(with_ttl("MARKETING", -1), ttl);
    assert_eq!(with_ttl("MARKETING", 43_200), Vec::<String>::new());
}

#[test]
fn findings_come_with_the_worst_first() {
    let mut definition = with_body("{{1}} sale", &[]);
    definition.category = crate::client::TemplateCategory::Marketing;
    let severities: Vec<Severity> = definition.lint().iter().map(|finding| finding.severity).collect();
    let mut sorted = severities.clone();
    sorted.sort_by_key(|severity| std::cmp::Reverse(*severity));
    assert_eq!(severities, sorted);
    assert_eq!(severities.first(), Some(&Severity::Error));
    assert_eq!(severities.last(), Some(&Severity::Hint));
}
