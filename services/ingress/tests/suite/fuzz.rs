//! Whatever comes with Meta's signature is acknowledged and kept, however odd it is.

use super::world::{ACCOUNT, NUMBER, SHARD, world};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

/// A body with every kind of update, to be damaged. No two are alike.
fn body(nth: usize) -> Value {
    json!({"object": "whatsapp_business_account", "entry": [{"id": ACCOUNT, "time": 1_777_800_000, "changes": [
        {"field": "messages", "value": {"messaging_product": "whatsapp",
            "metadata": {"display_phone_number": "12025550100", "phone_number_id": NUMBER},
            "contacts": [{"profile": {"name": "Ana"}, "wa_id": "12025550142"}],
            "messages": [
                {"from": "12025550142", "id": format!("wamid.A{nth}"), "timestamp": "1777800123", "type": "text", "text": {"body": "h\u{e9}"}},
                {"from": "12025550142", "id": format!("wamid.B{nth}"), "timestamp": "1777800124", "type": "image", "image": {"id": "7"}}],
            "statuses": [{"id": format!("wamid.C{nth}"), "status": "failed", "timestamp": 1_777_800_131, "recipient_id": "12025550142",
                "errors": [{"code": 131_050, "title": "t", "error_data": {"details": "d"}}]}]}},
        {"field": "user_preferences", "value": {"user_preferences": [{"wa_id": "12025550142", "value": "stop", "timestamp": 1_777_800_300}]}},
        {"field": "message_template_status_update", "value": {"event": "PAUSED", "message_template_id": nth}},
        {"field": "account_update", "value": {"event": "ACCOUNT_RESTRICTION", "restriction_info": [{"restriction_type": "R"}]}},
    ]}]})
}

fn nodes(value: &Value) -> usize {
    let children: Vec<&Value> = match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(members) => members.values().collect(),
        _ => Vec::new(),
    };
    1 + children.into_iter().map(nodes).sum::<usize>()
}

/// The n-th node of a tree, counted depth first.
fn node(value: &mut Value, nth: usize) -> &mut Value {
    if nth == 0 {
        return value;
    }
    let mut left = nth - 1;
    let children: Vec<&mut Value> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(members) => members.values_mut().collect(),
        _ => Vec::new(),
    };
    for child in children {
        let size = nodes(child);
        if left < size {
            return node(child, left);
        }
        left -= size;
    }
    unreachable!("the tree has fewer nodes")
}

/// Something odd in place of a part of a body.
fn oddity(random: &mut StdRng) -> Value {
    match random.random_range(0..8) {
        0 => Value::Null,
        1 => json!(random.random::<bool>()),
        2 => json!(random.random::<u64>()),
        3 => json!(random.random::<f64>() * 1e300),
        4 => json!("\u{0}\u{d7ff}\u{1f600}".repeat(random.random_range(0..50))),
        5 => json!([]),
        6 => (0..random.random_range(1..200)).fold(json!({}), |inner, _| json!([{"a": inner}])),
        _ => json!({"id": {"id": []}, "type": 1, "timestamp": "soon", "from": -1}),
    }
}

fn anything(random: &mut StdRng, nth: usize) -> Vec<u8> {
    let mut whole = body(nth);
    match random.random_range(0..5) {
        0 => {
            let mut noise = vec![0; random.random_range(0..400)];
            random.fill(&mut noise[..]);
            noise
        }
        1 => {
            let mut bytes = whole.to_string().into_bytes();
            bytes.truncate(random.random_range(0..bytes.len()));
            bytes
        }
        2 => {
            let mut bytes = whole.to_string().into_bytes();
            for _ in 0..random.random_range(1..8) {
                let at = random.random_range(0..bytes.len());
                bytes[at] = random.random();
            }
            bytes
        }
        3 => {
            let at = random.random_range(0..nodes(&whole));
            *node(&mut whole, at) = json!("here");
            let number = format!(
                "{}9e{}",
                "9".repeat(random.random_range(0..400)),
                random.random::<u32>()
            );
            let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
            let text = if random.random() { number } else { deep };
            whole.to_string().replace("\"here\"", &text).into_bytes()
        }
        _ => {
            let at = random.random_range(0..nodes(&whole));
            *node(&mut whole, at) = oddity(random);
            whole.to_string().into_bytes()
        }
    }
}

/// Whether a body is a list of no changes, of which there is nothing to keep.
fn says_nothing(body: &[u8]) -> bool {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return false;
    };
    body["entry"] == json!([]) || body["entry"][0]["changes"] == json!([])
}

/// For as many seconds as `ASSENT_FUZZ_SECONDS` says, and two without it.
#[tokio::test]
async fn every_authentic_callback_is_acknowledged_and_kept_whatever_it_says() {
    let seconds = std::env::var("ASSENT_FUZZ_SECONDS").map_or(2, |text| text.parse().unwrap());
    let seed = std::env::var("ASSENT_FUZZ_SEED").map_or_else(|_| rand::random(), |text| text.parse().unwrap());
    println!("ASSENT_FUZZ_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let world = world().await;
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut posted = HashSet::new();
    let mut kept = 0;
    while Instant::now() < end {
        let body = anything(&mut random, posted.len());
        let is_new = posted.insert(body.clone()) && !says_nothing(&body);
        let shown = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(world.post_bytes(body).await, 200, "{shown}");
        let head = world.platform.store.head(SHARD).await.unwrap();
        assert!(!is_new || head > kept, "not kept: {shown}");
        kept = head;
    }
    println!("{} callbacks, {kept} events", posted.len());
    assert!(kept > 0);
}
