//! `note_language`: the registry is told in which language a tenant is written to, after its settings have changed.

use async_trait::async_trait;

use super::{Handled, Handler, Work};
use crate::db::DbError;
use crate::db::master::{MasterDb, tenants};
use crate::db::tenant::settings::NOTE_LANGUAGE;
use crate::db::tenant::{Access, settings};
use crate::domain::settings::Settings;
use crate::platform::Platform;

/// Notes what the settings say at that moment, whatever they said when the row was written.
pub struct NoteLanguage {
    master: MasterDb,
}

impl NoteLanguage {
    /// Of this platform.
    pub fn new(platform: &Platform) -> Self {
        Self {
            master: platform.master.clone(),
        }
    }

    async fn try_handle(&self, work: &Work) -> Result<(), DbError> {
        let find = settings::find_all();
        let stored = work.db.run(&Access::system(work.now), find).await?.output;
        let language = Settings::of("", &stored.values).language;
        tenants::set_language(&self.master, work.tenant, language, work.now).await
    }
}

#[async_trait]
impl Handler for NoteLanguage {
    fn kind(&self) -> &'static str {
        NOTE_LANGUAGE
    }

    async fn handle(&self, work: &Work) -> Handled {
        let noted = self.try_handle(work).await;
        noted.map_or_else(|error| Handled::Again(error.to_string()), |()| Handled::Done)
    }
}
