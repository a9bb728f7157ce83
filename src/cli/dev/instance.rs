//! What makes a development instance the same one at every start: its platform key, kept in the data folder.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::serve::Settings;
use crate::cli::private_postgres::{create_private_file, random_token};

/// The platform key in `<data-dir>/platform.key` (base64), made up at the first start.
pub fn platform_key(data_dir: &Path) -> anyhow::Result<String> {
    let file = data_dir.join("platform.key");
    match std::fs::read_to_string(&file) {
        Ok(key) => Ok(key.trim().to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key = STANDARD.encode(rand::random::<[u8; 32]>());
            create_private_file(&file, key.as_bytes())?;
            Ok(key)
        }
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", file.display())),
    }
}

/// The environment with which every command works on an instance; also how the instance configures itself.
pub fn environment(database_url: &str, platform_key: &str, settings: &Settings) -> BTreeMap<String, String> {
    // Absolute: commands are run from any folder.
    let folder = |name: &str| {
        let folder = settings.data_dir.join(name);
        std::path::absolute(&folder)
            .unwrap_or(folder)
            .display()
            .to_string()
    };
    [
        ("HELIXAI__DATABASE__URL", database_url.to_owned()),
        ("HELIXAI__PLATFORM__KEY", platform_key.to_owned()),
        ("HELIXAI__SERVER__BIND", "127.0.0.1".to_owned()),
        ("HELIXAI__SERVER__PORT", settings.port.to_string()),
        ("HELIXAI__SERVER__BASE_DOMAIN", settings.base_domain.clone()),
        // No second port, which another instance may have taken: `/metrics` is served beside the API.
        ("HELIXAI__METRICS__BIND", String::new()),
        ("HELIXAI__METRICS__TOKEN", random_token()),
        ("HELIXAI__STORAGE__FOLDER", folder("storage")),
        ("HELIXAI__MAIL__TRANSPORT", "folder".to_owned()),
        ("HELIXAI__MAIL__FOLDER", folder("mail")),
        ("HELIXAI__MAIL__FROM", "helixai@demo.example".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_find_the_files_from_any_folder() {
        let settings = Settings {
            port: 1,
            base_domain: "localhost".to_owned(),
            data_dir: ".helixai".into(),
            config: None,
        };
        let env = environment("postgres://", "key", &settings);
        for folder in ["HELIXAI__STORAGE__FOLDER", "HELIXAI__MAIL__FOLDER"] {
            assert!(Path::new(&env[folder]).is_absolute());
        }
    }
}
