//! The rules of the contract, checked on the compiled descriptors: what `buf lint` would ask, and ours.

use assent_proto::{FILE_DESCRIPTOR_SET, v1};
use prost_reflect::{DescriptorPool, EnumDescriptor, MessageDescriptor, MethodDescriptor};
use std::collections::BTreeSet;

const PACKAGE: &str = "assent.v1";

fn pool() -> DescriptorPool {
    DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("the descriptor set decodes")
}

fn our_enums(pool: &DescriptorPool) -> Vec<EnumDescriptor> {
    pool.all_enums().filter(|item| item.package_name() == PACKAGE).collect()
}

fn our_messages(pool: &DescriptorPool) -> Vec<MessageDescriptor> {
    pool.all_messages()
        .filter(|item| item.package_name() == PACKAGE && !item.is_map_entry())
        .collect()
}

fn our_methods(pool: &DescriptorPool) -> Vec<MethodDescriptor> {
    pool.services()
        .filter(|service| service.package_name() == PACKAGE)
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .collect()
}

fn upper_snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_uppercase());
    }
    snake
}

#[test]
fn the_contract_has_the_services_and_methods_it_promises() {
    let methods: BTreeSet<String> = our_methods(&pool())
        .iter()
        .map(|method| format!("{}.{}", method.parent_service().name(), method.name()))
        .collect();
    let promised = [
        "MessageService.SendMessage",
        "MessageService.CancelMessage",
        "MessageService.GetMessage",
        "MessageService.ListMessages",
        "MessageService.WatchMessage",
        "MessageService.ExplainMessage",
        "MessageService.SendMessages",
        "ConsentService.RecordOptIn",
        "ConsentService.RecordOptOut",
        "ConsentService.GetContact",
        "ConsentService.CheckMessage",
        "ConsentService.EraseContact",
        "NumberService.GetNumber",
        "NumberService.ListNumbers",
        "NumberService.GetNumberHistory",
        "NumberService.GetBusinessProfile",
        "NumberService.UpdateBusinessProfile",
        "NumberService.ListBlockedUsers",
        "NumberService.BlockUsers",
        "NumberService.UnblockUsers",
        "NumberService.GetCallbackSubscription",
        "NumberService.MarkRead",
        "TemplateService.ListTemplates",
        "TemplateService.GetTemplate",
        "TemplateService.CreateTemplate",
        "TemplateService.EditTemplate",
        "TemplateService.DeleteTemplate",
        "TemplateService.UnpauseTemplate",
        "TemplateService.LintTemplate",
        "TemplateService.PreviewTemplate",
        "SuppressionService.ListSuppressions",
        "SuppressionService.GetSuppression",
        "SuppressionService.LiftSuppression",
        "TrackingService.GetFunnel",
        "TrackingService.Rebuild",
        "TrackingService.GetDigest",
        "EventService.Subscribe",
        "MediaService.GetMedia",
        "MediaService.UploadMedia",
    ];
    assert_eq!(methods, promised.iter().map(ToString::to_string).collect());
}

#[test]
fn every_enum_starts_unspecified_and_prefixes_its_values() {
    for item in our_enums(&pool()) {
        let prefix = upper_snake_case(item.name());
        let zero = item.get_value(0).expect("proto3 enums have a zero");
        assert_eq!(zero.name(), format!("{prefix}_UNSPECIFIED"), "{}", item.full_name());
        for value in item.values() {
            assert!(
                value.name().starts_with(&format!("{prefix}_")),
                "{} in {}",
                value.name(),
                item.full_name()
            );
        }
    }
}

#[test]
fn every_method_has_a_request_and_a_response_of_its_own() {
    for method in our_methods(&pool()) {
        assert_eq!(method.input().name(), format!("{}Request", method.name()));
        assert_eq!(method.output().name(), format!("{}Response", method.name()));
    }
}

#[test]
fn everything_in_the_contract_is_commented() {
    let pool = pool();
    let mut bare = Vec::new();
    for file in pool.files().filter(|file| file.package_name() == PACKAGE) {
        let proto = file.file_descriptor_proto();
        let commented: BTreeSet<Vec<i32>> = proto
            .source_code_info
            .iter()
            .flat_map(|info| &info.location)
            .filter(|location| {
                location
                    .leading_comments
                    .as_deref()
                    .is_some_and(|text| !text.trim().is_empty())
            })
            .map(|location| location.path.clone())
            .collect();
        let mut check = |path: &[i32], name: &str| {
            if !commented.contains(path) {
                bare.push(name.to_owned());
            }
        };
        for message in file.messages() {
            check(message.path(), message.full_name());
            message
                .fields()
                .for_each(|field| check(field.path(), field.full_name()));
            // Those that only say of an optional field whether it was given have nothing to say themselves.
            message
                .oneofs()
                .filter(|oneof| !oneof.is_synthetic())
                .for_each(|oneof| check(oneof.path(), oneof.full_name()));
        }
        for item in file.enums() {
            check(item.path(), item.full_name());
            item.values().for_each(|value| check(value.path(), value.full_name()));
        }
        for service in file.services() {
            check(service.path(), service.full_name());
            service
                .methods()
                .for_each(|method| check(method.path(), method.full_name()));
        }
    }
    assert!(bare.is_empty(), "without a comment: {bare:#?}");
}

#[test]
fn names_are_snake_case_and_page_sizes_have_tokens() {
    for message in our_messages(&pool()) {
        for field in message.fields() {
            let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
            assert!(field.name().chars().all(plain), "{}", field.full_name());
        }
        let paged = message.get_field_by_name("page_size").is_some();
        assert_eq!(
            paged,
            message.get_field_by_name("page_token").is_some(),
            "{}",
            message.full_name()
        );
    }
}

#[test]
fn no_request_names_a_tenant() {
    for message in our_messages(&pool()) {
        assert!(
            message.fields().all(|field| !field.name().contains("tenant")),
            "{}",
            message.full_name()
        );
    }
}

fn personal_request() -> v1::SendMessageRequest {
    let parameter = v1::TemplateParameter {
        name: "first_name".into(),
        value: Some(v1::template_parameter::Value::Text("Marisol".into())),
    };
    let template = v1::TemplateContent {
        name: "order_update".into(),
        language: "en_US".into(),
        body_parameters: vec![parameter],
        ..Default::default()
    };
    v1::SendMessageRequest {
        idempotency_key: "order-marisol-7".into(),
        from: "106540352242922".into(),
        to: Some(v1::Recipient {
            alias: Some(v1::recipient::Alias::PhoneNumber("+12025550143".into())),
        }),
        content: Some(v1::Content {
            kind: Some(v1::content::Kind::Template(template)),
            reply_to: None,
        }),
        ..Default::default()
    }
}

#[test]
fn debug_output_of_a_request_shows_no_personal_data() {
    let shown = format!("{:?}", personal_request());
    assert!(
        shown.contains("order_update") && shown.contains("106540352242922"),
        "{shown}"
    );
    assert!(shown.contains("<redacted>"), "{shown}");
    for personal in ["2025550143", "Marisol", "marisol"] {
        assert!(!shown.contains(personal), "{shown}");
    }
}

#[test]
fn fields_with_personal_names_are_marked_for_redaction() {
    // A list by name, so that a new field called like one of these cannot forget the mark.
    let personal = [
        "phone_number",
        "user_id",
        "profile_name",
        "ip_address",
        "provider_message_id",
        "idempotency_key",
        "note",
    ];
    let pool = pool();
    for message in our_messages(&pool) {
        for field in message.fields().filter(|field| personal.contains(&field.name())) {
            let options = field.options();
            let marked = options
                .get_field_by_name("debug_redact")
                .and_then(|value| value.as_bool());
            assert_eq!(marked, Some(true), "{}", field.full_name());
        }
    }
}

#[test]
fn a_request_survives_its_encoding() {
    use prost::Message as _;
    let request = personal_request();
    let bytes = request.encode_to_vec();
    assert_eq!(
        v1::SendMessageRequest::decode(bytes.as_slice()).expect("decodes"),
        request
    );
}
