//! What a template consists of, as the log has it, decides which values are taken.

use super::world::{ACCOUNT, SHARD, World, bad_fields, eventually, request, world};
use assent_domain::{
    events::{
        DomainEvent, ObservedFrom, ProviderEvent, QualityRating, TemplateChange, TemplateChanged, TemplateEvent,
        TemplateObserved, TemplateStatus,
    },
    values::{Actor, Category, TemplateDefinition, TemplateName, TemplateRef, TenantId, Term, WabaId},
};
use assent_event_store::{Append, Expected};
use assent_proto::v1::{self, MessageState};
use assent_runtime::{
    log::{self, Origin},
    streams::Subject,
};
use serde_json::json;
use tonic::Status;

fn template() -> TemplateRef {
    TemplateRef {
        name: TemplateName::try_new("order_ready").unwrap(),
        language: "en_US".parse().unwrap(),
    }
}

impl World {
    async fn record<E: DomainEvent>(&self, event: E) {
        let tenant = TenantId::try_new("acme").unwrap();
        let origin = Origin::of(tenant, Actor::Service(Term::try_new("status-tracker").unwrap()));
        let account = WabaId::try_new(ACCOUNT).unwrap();
        let template = template();
        let stream = self
            .platform
            .stream_of(E::CATEGORY, Subject::Template(&account, &template));
        let append = Append::new().write(stream, Expected::Any, [log::record(&event, &origin)]);
        self.platform.store.append(SHARD, append).await.unwrap();
    }

    /// The template was listed with this body.
    async fn observe(&self, body: &str) {
        let components = json!([{"type": "BODY", "text": body}]);
        let definition = json!({"parameter_format": "POSITIONAL", "components": components});
        self.record(TemplateEvent::from(TemplateObserved {
            tenant: TenantId::try_new("acme").unwrap(),
            waba: WabaId::try_new(ACCOUNT).unwrap(),
            template: template(),
            template_id: None,
            status: TemplateStatus::Approved,
            category: Category::Utility,
            announced: None,
            quality: QualityRating::Unknown,
            reason: None,
            definition: Some(TemplateDefinition(definition)),
            observed_from: ObservedFrom::Poll,
            observed_at: log::now(),
        }))
        .await;
    }

    /// Meta said that the template consists of something else from now on.
    async fn change(&self) {
        self.record(ProviderEvent::TemplateChanged(Box::new(TemplateChanged {
            waba: WabaId::try_new(ACCOUNT).unwrap(),
            template: template(),
            template_id: None,
            change: TemplateChange::Components,
            provider_at: log::now(),
            received_at: log::now(),
        })))
        .await;
    }

    /// Sends it with two values for its body.
    async fn try_two(&self, key: &str) -> Result<v1::SendMessageResponse, Status> {
        let mut client = self.client().await;
        let sent = client.send_message(request(key, "order_ready")).await;
        sent.map(tonic::Response::into_inner)
    }

    async fn until_two_are_taken(&self, expected: bool) {
        let tries = std::sync::atomic::AtomicUsize::new(0);
        eventually("the template is not known as it is now", || async {
            let number = tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            self.try_two(&format!("{expected}-{number}")).await.is_ok() == expected
        })
        .await;
    }
}

#[tokio::test]
async fn values_are_checked_against_the_template_as_it_is_known_now() {
    let world = world().await;
    // Nobody has seen the template: it is for the gates to say so.
    assert!(world.try_two("unseen").await.is_ok());

    world.observe("Hi {{1}}, one order is ready.").await;
    world.until_two_are_taken(false).await;
    let refused = world.try_two("misfit").await.unwrap_err();
    assert_eq!(bad_fields(&refused), ["content.template.body_parameters"]);
    // Whoever repeats a request gets the answer that it had.
    assert_eq!(world.try_two("unseen").await.unwrap().state(), MessageState::Authorized);

    // From a change until the next look nobody knows what fits: Meta is to judge.
    world.change().await;
    world.until_two_are_taken(true).await;
    world.observe("Hi {{1}}, both orders are ready.").await;
    world.until_two_are_taken(false).await;
    world.observe("Hi {{1}}, your order is ready {{2}}, see you.").await;
    world.until_two_are_taken(true).await;
    // What was refused left nothing behind its key.
    assert_eq!(world.try_two("misfit").await.unwrap().state(), MessageState::Authorized);
}

#[tokio::test]
async fn every_other_bad_field_stands_in_the_same_answer() {
    let world = world().await;
    world.observe("Your order is ready.").await;
    world.until_two_are_taken(false).await;
    let mut late = request("late", "order_ready");
    late.expiry = Some(v1::send_message_request::Expiry::ExpiresAt(prost_types::Timestamp {
        seconds: 1,
        nanos: 0,
    }));
    let refused = world.client().await.send_message(late).await.unwrap_err();
    assert_eq!(bad_fields(&refused), ["expires_at", "content.template.body_parameters"]);
}
