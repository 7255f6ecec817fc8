//! Whatever arrives: no panic, and nothing that is JSON is refused or lost.

use std::{
    cell::Cell,
    hash::{BuildHasher as _, Hasher as _, RandomState},
};

use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};

use super::*;

/// A body with every kind of update, to be damaged.
fn seed() -> Value {
    json!({"object": "whatsapp_business_account", "entry": [{"id": "215500000000001", "time": 1_777_800_000, "changes": [
        {"field": "messages", "value": {"messaging_product": "whatsapp",
            "metadata": {"display_phone_number": "12025550100", "phone_number_id": "318800000000042"},
            "contacts": [{"profile": {"name": "Ana"}, "wa_id": "12025550142", "user_id": "US.40817735520916"}],
            "messages": [{"from": "12025550142", "id": "wamid.A", "timestamp": "1777800123", "type": "text", "text": {"body": "h\u{e9}"}},
                {"from": "12025550142", "id": "wamid.B", "timestamp": "1777800124", "type": "interactive",
                    "interactive": {"type": "list_reply", "list_reply": {"id": "st_1", "title": "Harbor"}}}],
            "statuses": [{"id": "wamid.C", "status": "failed", "timestamp": 1_777_800_131, "recipient_id": "12025550142",
                "errors": [{"code": 131_050, "title": "t", "error_data": {"details": "d"}}],
                "pricing": {"billable": true, "pricing_model": "PMP", "category": "marketing"}}]}},
        {"field": "user_preferences", "value": {"user_preferences": [{"wa_id": "12025550142", "value": "stop", "timestamp": 1_777_800_300}]}},
        {"field": "message_template_status_update", "value": {"event": "PAUSED", "message_template_id": 940_021_177_300_155_i64}},
        {"field": "account_update", "value": {"event": "ACCOUNT_RESTRICTION", "restriction_info": [{"restriction_type": "R", "expiration": 1}]}},
    ]}]})
}

/// Any JSON value, small but of any shape.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!("wamid.X")),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-z_]{1,8}", inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Puts `new` in place of the n-th node of a tree, counted depth first. Gives what is left of the count.
fn replace_node(value: &mut Value, n: usize, new: &Value) -> Option<usize> {
    if n == 0 {
        *value = new.clone();
        return None;
    }
    let children: Vec<&mut Value> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(map) => map.values_mut().collect(),
        _ => Vec::new(),
    };
    let mut left = n - 1;
    for child in children {
        left = replace_node(child, left, new)?;
    }
    Some(left)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn a_truncated_body_is_not_json(cut in 0_usize..1000) {
        let body = serde_json::to_vec(&seed()).unwrap();
        let cut = cut % body.len();
        prop_assert!(parse(&body[..cut]).is_err());
    }

    #[test]
    fn a_body_with_changed_bytes_never_panics(changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..8)) {
        let mut body = serde_json::to_vec(&seed()).unwrap();
        for (at, byte) in changes {
            let at = at % body.len();
            body[at] = byte;
        }
        let result = parse(&body);
        // The strict reader is the judge of what is JSON, except that it also refuses numbers too large for a float.
        if serde_json::from_slice::<Value>(&body).is_ok() {
            prop_assert!(!result.unwrap().is_empty());
        }
    }

    #[test]
    fn json_of_the_wrong_shape_is_kept(at in 0_usize..120, new in any_json()) {
        let mut body = seed();
        let _ = replace_node(&mut body, at, &new);
        let body = serde_json::to_vec(&body).unwrap();
        let received = parse(&body).unwrap();
        // In one pass or level by level: the same updates.
        prop_assert_eq!(&received, &parse_by_levels(&body).unwrap());
        for one in received {
            let _ = format!("{one:?}");
        }
    }

    #[test]
    fn any_value_of_any_field_gives_at_least_one_update(field in prop_oneof![
        Just("messages".to_owned()), Just("user_preferences".to_owned()), Just("account_update".to_owned()),
        Just("message_template_status_update".to_owned()), Just("phone_number_quality_update".to_owned()), "[a-z_]{0,12}",
    ], value in any_json()) {
        let body = json!({"entry": [{"id": "1", "changes": [{"field": field, "value": value}]}]});
        let received = parse(&serde_json::to_vec(&body).unwrap()).unwrap();
        prop_assert!(!received.is_empty());
    }
}

/// Anything that could arrive: noise, cut or damaged JSON, other shapes, great depth, great numbers.
fn anything() -> impl Strategy<Value = Vec<u8>> {
    let seed_bytes = || serde_json::to_vec(&seed()).expect("the seed is JSON");
    let placed = |at: usize, text: &str| {
        // A number too large for a float is no `Value`, so it takes the place of a marker in the text.
        let mut body = seed();
        let _ = replace_node(&mut body, at, &json!("\u{1}here"));
        let body = serde_json::to_string(&body).expect("a value is JSON");
        body.replace(r#""\u0001here""#, text).into_bytes()
    };
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..512),
        (0_usize..4_000).prop_map(move |cut| {
            let mut body = seed_bytes();
            body.truncate(cut);
            body
        }),
        prop::collection::vec((any::<usize>(), any::<u8>()), 1..16).prop_map(move |changes| {
            let mut body = seed_bytes();
            for (at, byte) in changes {
                let at = at % body.len();
                body[at] = byte;
            }
            body
        }),
        (0_usize..120, any_json()).prop_map(|(at, new)| {
            let mut body = seed();
            let _ = replace_node(&mut body, at, &new);
            serde_json::to_vec(&body).expect("a value is JSON")
        }),
        (0_usize..120, 1_usize..50_000, any::<bool>(), any::<bool>()).prop_map(move |(at, depth, lists, closed)| {
            let (open, close) = if lists { ("[", "]") } else { (r#"{"a":"#, "}") };
            let inner = if lists { "" } else { "1" };
            let close = if closed { close.repeat(depth) } else { String::new() };
            placed(at, &format!("{}{inner}{close}", open.repeat(depth)))
        }),
        (
            0_usize..120,
            "-?[1-9][0-9]{0,400}(\\.[0-9]{1,400})?([eE][+-]?[0-9]{1,400})?"
        )
            .prop_map(move |(at, number)| placed(at, &number)),
    ]
}

/// For as many seconds as `ASSENT_FUZZ_SECONDS` says, and one without it; from the seed `ASSENT_FUZZ_SEED`, if it is given. What
/// fails is shown in its smallest form.
#[test]
fn whatever_arrives_is_kept_or_is_no_json() {
    let seconds = std::env::var("ASSENT_FUZZ_SECONDS").map_or(1, |text| text.parse().expect("a number of seconds"));
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
    let seed: u64 = std::env::var("ASSENT_FUZZ_SEED").map_or_else(
        |_| RandomState::new().build_hasher().finish(),
        |text| text.parse().expect("a seed"),
    );
    println!("ASSENT_FUZZ_SEED={seed}");
    let config = ProptestConfig {
        cases: 128,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let bodies = Cell::new(0_u64);
    for round in 0_u64.. {
        if std::time::Instant::now() >= deadline {
            break;
        }
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        bytes[8..16].copy_from_slice(&round.to_le_bytes());
        // A runner is for one run: it counts its cases, and would take every further run for done.
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let result = TestRunner::new_with_rng(config.clone(), random).run(&anything(), |body| {
            bodies.set(bodies.get() + 1);
            let is_json = serde_json::from_slice::<&serde_json::value::RawValue>(&body).is_ok();
            match parse(&body) {
                Ok(received) => {
                    for one in &received {
                        let shown = format!("{one:?}");
                        prop_assert!(!shown.contains("2025550142"), "a number is shown");
                    }
                    prop_assert!(is_json);
                }
                Err(_) => prop_assert!(!is_json, "JSON was refused"),
            }
            Ok(())
        });
        if let Err(error) = result {
            panic!("round {round}: {error}");
        }
        assert_eq!(bodies.get(), (round + 1) * u64::from(config.cases));
    }
    println!("{} bodies", bodies.get());
}
