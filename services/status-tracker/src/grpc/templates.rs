//! `TemplateService`.

mod parts;
mod paths;
mod render;

use super::{
    Ground, Party,
    provider::{self, Provider, Quote},
};
use assent_api::{
    Problems,
    content::{self, ParsedContent},
};
use assent_domain::{
    events::TemplateStatus,
    gates,
    values::{LanguageCode, TemplateName, TemplateRef},
};
use assent_proto::v1::{self, template_service_server::TemplateService};
use assent_runtime::{
    api_error::{ApiError, ErrorCode},
    grpc,
    tenants::Scope,
};
use assent_whatsapp::{
    Secret,
    client::{TemplateEdit, TemplateInfo, TemplateQuery, TemplateSelection},
    limits::{TEMPLATE_PAGES_MAX, TEMPLATES_PER_PAGE},
    message::{Invalid, Template, WrittenTemplate},
    template::{Definition, Severity},
};
use tonic::{Request, Response, Status};

/// The service as tonic calls it.
#[derive(Debug, Clone)]
pub(crate) struct TemplateApi {
    pub(crate) ground: Ground,
    pub(crate) provider: Provider,
}

/// An account of the caller's.
struct Account {
    id: String,
    token: Secret,
}

impl TemplateApi {
    fn enter<T>(&self, request: &Request<T>, scope: Scope, waba_id: &str) -> Result<Account, ApiError> {
        let party = self.party(request, scope)?;
        let (id, token) = provider::account(&party, waba_id)?;
        Ok(Account { id, token })
    }

    fn party<T>(&self, request: &Request<T>, scope: Scope) -> Result<Party, ApiError> {
        self.ground.party(&*grpc::require(request, scope)?)
    }

    /// The template of this name in this language.
    async fn find(&self, account: &Account, name: &str, language: &str) -> Result<TemplateInfo, ApiError> {
        let found = self.find_all(account, name, Some(language)).await?;
        let found = found.into_iter().next();
        found.ok_or_else(|| ApiError::new(ErrorCode::TemplateUnknown))
    }

    /// The translations of a template, or the one in this language. Meta's filter finds names that contain the one given, so all of
    /// them are looked through; an id would not say whose template it is.
    async fn find_all(
        &self,
        account: &Account,
        name: &str,
        language: Option<&str>,
    ) -> Result<Vec<TemplateInfo>, ApiError> {
        let call = self.provider.call()?;
        let mut query = TemplateQuery {
            name: Some(name.to_owned()),
            language: language.map(str::to_owned),
            ..TemplateQuery::default()
        };
        let is_it = |info: &TemplateInfo| {
            let is_in_language = language.is_none_or(|language| info.language.as_deref() == Some(language));
            info.name.as_deref() == Some(name) && is_in_language
        };
        let mut found = Vec::new();
        for _ in 0..TEMPLATE_PAGES_MAX {
            let page = call.client.find_templates(&account.id, &account.token, &query).await;
            let page = page.map_err(|error| provider::call_error(&error, Quote::Shown))?;
            found.extend(page.templates.into_iter().filter(is_it));
            query.after = page.next;
            let is_complete = language.is_some() && !found.is_empty();
            if is_complete || query.after.is_none() {
                break;
            }
        }
        Ok(found)
    }

    /// The translation that would be sent, as Meta lists it: the one named, or the fallback that stands in for it.
    async fn sendable(&self, party: &Party, account: &Account, asked: &TemplateRef) -> Result<TemplateInfo, ApiError> {
        let fallbacks = party.tenant.language_fallbacks.of(&asked.language);
        if fallbacks.is_empty() {
            return self.find(account, asked.name.as_str(), asked.language.as_str()).await;
        }
        let translations = self.find_all(account, asked.name.as_str(), None).await?;
        let place = |language: &LanguageCode| {
            let mut languages = translations.iter().map(|info| info.language.as_deref());
            languages.position(|listed| listed == Some(language.as_str()))
        };
        let status = |place: Option<usize>| {
            let word = place.and_then(|place| translations[place].status.as_ref());
            word.map(|word| TemplateStatus::from_provider(word.as_str()))
        };
        let own = place(&asked.language);
        let others: Vec<_> = fallbacks.iter().map(place).collect();
        let chosen = match gates::fallback_for(status(own), others.iter().copied().map(status)) {
            Some(fallback) => others[fallback],
            None => own,
        };
        let chosen = chosen.and_then(|place| translations.into_iter().nth(place));
        chosen.ok_or_else(|| ApiError::new(ErrorCode::TemplateUnknown))
    }

    /// The definition to preview: the one given, or Meta's.
    async fn previewed(
        &self,
        request: &Request<v1::PreviewTemplateRequest>,
        named: &v1::TemplateContent,
    ) -> Result<Definition, ApiError> {
        if let Some(definition) = &request.get_ref().definition {
            return parts::definition(Some(definition), "definition");
        }
        let party = self.party(request, Scope::Read)?;
        let (id, token) = provider::account(&party, &request.get_ref().waba_id)?;
        let asked = check_names(&named.name, &named.language, "content.")?;
        let info = self.sendable(&party, &Account { id, token }, &asked).await?;
        Definition::from_info(&info).ok_or_else(|| ApiError::new(ErrorCode::TemplateUnknown))
    }
}

#[tonic::async_trait]
impl TemplateService for TemplateApi {
    async fn list_templates(
        &self,
        request: Request<v1::ListTemplatesRequest>,
    ) -> Result<Response<v1::ListTemplatesResponse>, Status> {
        let account = self.enter(&request, Scope::Read, &request.get_ref().waba_id)?;
        let query = query_of(request.get_ref())?;
        let call = self.provider.call()?;
        let page = call.client.find_templates(&account.id, &account.token, &query).await;
        let page = page.map_err(|error| provider::page_error(&error, Quote::Shown))?;
        let templates = page.templates.iter().map(|info| render::template(&account.id, info));
        Ok(Response::new(v1::ListTemplatesResponse {
            templates: templates.collect(),
            next_page_token: page.next.unwrap_or_default(),
        }))
    }

    async fn get_template(
        &self,
        request: Request<v1::GetTemplateRequest>,
    ) -> Result<Response<v1::GetTemplateResponse>, Status> {
        let account = self.enter(&request, Scope::Read, &request.get_ref().waba_id)?;
        let request = request.get_ref();
        check_names(&request.name, &request.language, "")?;
        let info = self.find(&account, &request.name, &request.language).await?;
        Ok(Response::new(v1::GetTemplateResponse {
            template: Some(render::template(&account.id, &info)),
        }))
    }

    async fn create_template(
        &self,
        request: Request<v1::CreateTemplateRequest>,
    ) -> Result<Response<v1::CreateTemplateResponse>, Status> {
        let account = self.enter(&request, Scope::Admin, &request.get_ref().waba_id)?;
        let definition = parts::definition(request.get_ref().definition.as_ref(), "definition")?;
        let call = self.provider.call()?;
        let created = call
            .client
            .create_template(&account.id, &account.token, &definition)
            .await;
        let created = created.map_err(|error| {
            provider::change_error(&error, Quote::Shown, |problem| {
                paths::of_definition("definition.", &definition.components, &problem.path)
            })
        })?;
        let status = created.status.as_ref();
        Ok(Response::new(v1::CreateTemplateResponse {
            template_id: created.id,
            state: status.map_or(v1::TemplateState::Unspecified, render::state).into(),
            provider_status: status.map_or_else(String::new, |status| status.as_str().to_owned()),
            category: render::category(created.category.as_ref()).into(),
            findings: render::findings(&definition, "definition."),
        }))
    }

    async fn edit_template(
        &self,
        request: Request<v1::EditTemplateRequest>,
    ) -> Result<Response<v1::EditTemplateResponse>, Status> {
        let account = self.enter(&request, Scope::Admin, &request.get_ref().waba_id)?;
        let request = request.get_ref();
        check_names(&request.name, &request.language, "")?;
        let mut problems = Problems::new();
        let components = request
            .parts
            .as_ref()
            .map(|given| parts::components(given, "parts", &mut problems));
        let category = parts::category_if_given(request.category, "category", &mut problems);
        problems.into_result()?;
        let edit = TemplateEdit {
            components,
            category,
            message_send_ttl_seconds: request.message_ttl_seconds,
        };
        let current = self.find(&account, &request.name, &request.language).await?;
        let call = self.provider.call()?;
        let edited = call.client.edit_template(&current, &account.token, &edit).await;
        let parts = edit.components.as_deref().unwrap_or_default();
        edited.map_err(|error| {
            provider::change_error(&error, Quote::Shown, |problem| match problem.path.as_str() {
                // Nothing to change; and a template whose state or id forbids it.
                "" => "parts".to_owned(),
                "status" | "id" => "name".to_owned(),
                path => paths::of_definition("", parts, path),
            })
        })?;
        let mut next = Definition::from_info(&current).ok_or_else(|| ApiError::new(ErrorCode::TemplateUnknown))?;
        if let Some(components) = edit.components {
            next.components = components;
        }
        Ok(Response::new(v1::EditTemplateResponse {
            findings: render::findings(&next, ""),
        }))
    }

    async fn delete_template(
        &self,
        request: Request<v1::DeleteTemplateRequest>,
    ) -> Result<Response<v1::DeleteTemplateResponse>, Status> {
        let account = self.enter(&request, Scope::Admin, &request.get_ref().waba_id)?;
        let request = request.get_ref();
        let name = request.name.clone();
        let selection = if request.language.is_empty() {
            TemplateSelection::Name(name)
        } else {
            check_names(&name, &request.language, "")?;
            let info = self.find(&account, &name, &request.language).await?;
            let id = info.id.ok_or_else(|| ApiError::new(ErrorCode::TemplateUnknown))?;
            TemplateSelection::One { name, id }
        };
        let call = self.provider.call()?;
        let deleted = call
            .client
            .delete_templates(&account.id, &account.token, &selection)
            .await;
        deleted.map_err(|error| provider::change_error(&error, Quote::Shown, |problem| problem.path.clone()))?;
        Ok(Response::new(v1::DeleteTemplateResponse {}))
    }

    async fn unpause_template(
        &self,
        request: Request<v1::UnpauseTemplateRequest>,
    ) -> Result<Response<v1::UnpauseTemplateResponse>, Status> {
        let account = self.enter(&request, Scope::Admin, &request.get_ref().waba_id)?;
        let request = request.get_ref();
        check_names(&request.name, &request.language, "")?;
        let info = self.find(&account, &request.name, &request.language).await?;
        let id = info.id.ok_or_else(|| ApiError::new(ErrorCode::TemplateUnknown))?;
        let call = self.provider.call()?;
        let unpaused = call.client.unpause_template(&id, &account.token).await;
        unpaused.map_err(|error| provider::call_error(&error, Quote::Shown))?;
        Ok(Response::new(v1::UnpauseTemplateResponse {}))
    }

    async fn lint_template(
        &self,
        request: Request<v1::LintTemplateRequest>,
    ) -> Result<Response<v1::LintTemplateResponse>, Status> {
        let _party = self.party(&request, Scope::Read)?;
        let definition = parts::definition(request.get_ref().definition.as_ref(), "definition")?;
        Ok(Response::new(v1::LintTemplateResponse {
            findings: render::findings(&definition, ""),
        }))
    }

    async fn preview_template(
        &self,
        request: Request<v1::PreviewTemplateRequest>,
    ) -> Result<Response<v1::PreviewTemplateResponse>, Status> {
        let _party = self.party(&request, Scope::Read)?;
        let mut content = request.get_ref().content.clone().unwrap_or_default();
        let definition = self.previewed(&request, &content).await?;
        if request.get_ref().definition.is_none() {
            content.language.clone_from(&definition.language);
        }
        let preview = if request.get_ref().with_examples {
            definition.render_examples()
        } else {
            let message = message_of(content)?;
            definition
                .render(&message)
                .map_err(|invalid| unfit(&invalid, &message))?
        };
        Ok(Response::new(v1::PreviewTemplateResponse {
            preview: Some(render::preview(&preview)),
            language: definition.language,
        }))
    }
}

/// Names that no template can have are refused before Meta is asked for them.
fn check_names(name: &str, language: &str, within: &str) -> Result<TemplateRef, ApiError> {
    let mut problems = Problems::new();
    let name = problems.keep(&format!("{within}name"), TemplateName::try_new(name));
    let language = problems.keep(&format!("{within}language"), LanguageCode::try_new(language));
    match (name, language) {
        (Some(name), Some(language)) => Ok(TemplateRef { name, language }),
        _ => Err(problems.into_error()),
    }
}

fn query_of(request: &v1::ListTemplatesRequest) -> Result<TemplateQuery, ApiError> {
    let mut problems = Problems::new();
    if request.page_size as usize > TEMPLATES_PER_PAGE {
        problems.add("page_size", format!("must be at most {TEMPLATES_PER_PAGE}"));
    }
    let limit = if request.page_size == 0 {
        50
    } else {
        request.page_size as usize
    };
    let state = render::provider_state(request.state, &mut problems);
    let category = parts::category_if_given(request.category, "category", &mut problems);
    problems.into_result()?;
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Ok(TemplateQuery {
        name: given(&request.name),
        language: given(&request.language),
        status: state,
        category,
        limit: Some(limit),
        after: given(&request.page_token),
    })
}

/// The values of a preview, as a message would carry them.
fn message_of(content: v1::TemplateContent) -> Result<Template, ApiError> {
    let content = v1::Content {
        kind: Some(v1::content::Kind::Template(content)),
        ..v1::Content::default()
    };
    let mut problems = Problems::new();
    let parsed = content::parse(Some(&content), "", &mut problems);
    if let Err(error) = problems.into_result() {
        let renamed = error.fields().iter().map(|problem| {
            let field = problem.field.strip_prefix("template").unwrap_or(&problem.field);
            (format!("content{field}"), problem.description.clone())
        });
        let mut problems = Problems::new();
        for (field, description) in renamed {
            problems.add(field, description);
        }
        return Err(problems.into_error());
    }
    let Some(ParsedContent::Template { template, components }) = parsed.map(|composed| composed.content) else {
        return Err(ApiError::new(ErrorCode::InvalidRequest).field("content", "must be a template"));
    };
    let written = WrittenTemplate {
        name: template.name.as_str().to_owned(),
        language: template.language.as_str().to_owned(),
        components: components.0,
    };
    Template::from_written(&written).map_err(|invalid| {
        let mut problems = Problems::new();
        for problem in &invalid.problems {
            problems.add("content", provider::describe(problem));
        }
        problems.into_error()
    })
}

/// Values that do not fit the template.
fn unfit(invalid: &Invalid, message: &Template) -> ApiError {
    let mut problems = Problems::new();
    for problem in &invalid.problems {
        let field = content::template_path(&message.components, "content", &problem.path);
        problems.add(field, provider::describe(problem));
    }
    problems.into_error()
}

/// The severity on the wire.
fn severity(severity: Severity) -> v1::TemplateFindingSeverity {
    match severity {
        Severity::Hint => v1::TemplateFindingSeverity::Hint,
        Severity::Warning => v1::TemplateFindingSeverity::Warning,
        Severity::Error => v1::TemplateFindingSeverity::Error,
    }
}
