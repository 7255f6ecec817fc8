//! Old shapes read for ever: each golden file is an event as it was once written, and what it reads as today.

use assent_event_store::{Append, EventMeta, Expected, NewEvent, UpcastError, Upcasters};
use serde_json::{Value, json};

use crate::stores::{SHARD, TestStore, new_stream};

crate::contract!(
    every_golden_file_reads_in_the_newest_shape,
    what_cannot_be_read_is_named
);

/// A type that has had three shapes: a flag became a list, then the list got a name of its own.
fn upcasters() -> Upcasters {
    Upcasters::new()
        .step("sample.chosen", 1, |mut value| {
            let marketing = value
                .get("marketing")
                .and_then(Value::as_bool)
                .ok_or_else(|| UpcastError::Shape {
                    kind: "sample.chosen".into(),
                    version: 1,
                    reason: "marketing is missing".into(),
                })?;
            value["categories"] = if marketing { json!(["marketing"]) } else { json!([]) };
            value.as_object_mut().map(|object| object.remove("marketing"));
            Ok(value)
        })
        .step("sample.chosen", 2, |mut value| {
            let categories = value.as_object_mut().and_then(|object| object.remove("categories"));
            value["consent"] = json!({ "categories": categories });
            Ok(value)
        })
}

async fn every_golden_file_reads_in_the_newest_shape(store: TestStore) {
    let stream = new_stream();
    let mut files: Vec<_> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    assert_eq!(files.len(), 3, "one for each shape that was ever written");
    for file in files {
        let golden: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        let kind = golden["type"].as_str().unwrap().to_owned();
        let version = golden["schema_version"].as_u64().unwrap() as u16;
        let event = NewEvent::new(kind, version, golden["written"].to_string(), &EventMeta::default());
        store
            .append(SHARD, Append::new().write(stream.clone(), Expected::Any, [event]))
            .await
            .unwrap();
        let read = store.read_stream(SHARD, &stream, 0, 100).await.unwrap().pop().unwrap();
        let (newest, data) = upcasters().upcast(&read).unwrap();
        assert_eq!(newest, 3);
        assert_eq!(
            serde_json::from_slice::<Value>(&data).unwrap(),
            golden["reads_as"],
            "{}",
            file.display()
        );
    }
}

async fn what_cannot_be_read_is_named(store: TestStore) {
    let stream = new_stream();
    for (version, data) in [(9, "{}"), (1, "not json"), (1, "{}")] {
        let event = NewEvent::new("sample.chosen", version, data, &EventMeta::default());
        store
            .append(SHARD, Append::new().write(stream.clone(), Expected::Any, [event]))
            .await
            .unwrap();
    }
    let read = store.read_stream(SHARD, &stream, 0, 10).await.unwrap();
    let errors: Vec<String> = read
        .iter()
        .map(|event| upcasters().upcast(event).unwrap_err().to_string())
        .collect();
    assert_eq!(
        errors[0],
        "sample.chosen v9 is newer than v3, the newest this program knows; run a newer Assent"
    );
    assert_eq!(errors[1], "the data of sample.chosen v1 is not JSON");
    assert_eq!(
        errors[2],
        "sample.chosen cannot be brought from v1 to v2: marketing is missing"
    );
}
