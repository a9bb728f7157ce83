//! Words that are said later, or to many: written out, or of a template, with values for what they leave open.

use std::collections::BTreeMap;

use crate::db::tenant::Query;
use crate::db::tenant::customers::templates;
use crate::domain::ids::MessageTemplateId;
use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::message_template::{self, MessageTemplate};
use crate::domain::message_variables::Variables;
use crate::http::problem::Problem;

/// Where the words are.
pub(super) enum Words {
    Written(String),
    Of(MessageTemplateId),
}

impl Words {
    /// Reads one of both; `None` without either.
    pub(super) fn read(
        errors: &mut FieldErrors,
        body: Option<String>,
        template_id: Option<String>,
    ) -> Option<Self> {
        match (body, template_id) {
            (Some(_), Some(_)) => {
                let invalid = Invalid::new("not_allowed", "does not go with `body`");
                errors.push("template_id", invalid);
                None
            }
            (Some(body), None) => errors
                .check("body", message_template::body(&body))
                .map(Self::Written),
            (None, Some(id)) => errors.check("template_id", id.parse()).map(Self::Of),
            (None, None) => None,
        }
    }

    /// As [`Words::read`]; without either `body` is required.
    pub(super) fn require(
        errors: &mut FieldErrors,
        body: Option<String>,
        template_id: Option<String>,
    ) -> Option<Self> {
        if body.is_none() && template_id.is_none() {
            errors.push("body", Invalid::required());
        }
        Self::read(errors, body, template_id)
    }

    /// Looks for the template, when there is one.
    pub(super) fn find(&self) -> Option<Query<Option<MessageTemplate>>> {
        match self {
            Self::Written(_) => None,
            Self::Of(id) => Some(templates::find(*id)),
        }
    }

    /// The words themselves, once the template was looked for.
    pub(super) fn text(self, found: Option<Option<MessageTemplate>>) -> Result<String, Problem> {
        match self {
            Self::Written(words) => Ok(words),
            Self::Of(_) => {
                let found = found.flatten().map(|template| template.body);
                found.ok_or_else(|| super::customers::unknown("template_id"))
            }
        }
    }
}

/// Reads values; none when they are left out.
pub(super) fn variables(errors: &mut FieldErrors, given: Option<BTreeMap<String, String>>) -> Variables {
    let read = given.map(Variables::parse).transpose();
    errors.merge(read).flatten().unwrap_or_default()
}
