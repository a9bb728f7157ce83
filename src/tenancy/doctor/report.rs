//! What an examination found.

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// A tenant is not served, or not kept apart from the others.
    Error,
    /// It works, but not for ever or not as well as it could.
    Warning,
}

/// One difference from what should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// Which check found it: stable, for programs.
    pub check: &'static str,
    /// In which shard; `None` when it concerns the whole platform.
    pub shard: Option<String>,
    /// What it is.
    pub what: String,
    /// What to do about it.
    pub cure: String,
}

/// The findings so far.
#[derive(Debug, Default)]
pub struct Report {
    shard: Option<String>,
    findings: Vec<Finding>,
}

impl Report {
    /// From here on the findings concern this shard.
    pub fn begin_shard(&mut self, name: &str) {
        self.shard = Some(name.to_owned());
    }

    /// From here on they concern the whole platform.
    pub fn end_shard(&mut self) {
        self.shard = None;
    }

    /// Adds an error.
    pub fn error(&mut self, check: &'static str, what: impl Into<String>, cure: impl Into<String>) {
        self.add(Level::Error, check, what, cure);
    }

    /// Adds a warning.
    pub fn warning(&mut self, check: &'static str, what: impl Into<String>, cure: impl Into<String>) {
        self.add(Level::Warning, check, what, cure);
    }

    /// Adds a finding.
    pub fn add(
        &mut self,
        level: Level,
        check: &'static str,
        what: impl Into<String>,
        cure: impl Into<String>,
    ) {
        self.findings.push(Finding {
            level,
            check,
            shard: self.shard.clone(),
            what: what.into(),
            cure: cure.into(),
        });
    }

    /// All of them, in the order in which they were found.
    pub fn into_findings(self) -> Vec<Finding> {
        self.findings
    }
}
