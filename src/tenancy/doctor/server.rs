//! The server's version and settings, and the migrations of the program's own schemas.

use super::report::Report;
use crate::db::shard::inspect::server::Server;
use crate::db::shard::inspect::versions::Versions;

const OLDEST: i32 = 150_000;
/// Below it, work on several tenants' tables at once runs out of locks.
const LOCKS: i64 = 256;

/// Judges a server.
pub fn judge(server: &Server, report: &mut Report) {
    if server.version < OLDEST {
        report.error(
            "version",
            format!("PostgreSQL {} is too old", server.version_text),
            "upgrade the server to PostgreSQL 15 or later",
        );
    }
    if server.encoding != "UTF8" {
        report.error(
            "encoding",
            format!("the database's encoding is {}", server.encoding),
            "make a new database with `create database … encoding 'UTF8' template template0`",
        );
    }
    if !server.may_provision {
        report.error(
            "administrator",
            format!(
                "the administrator {} may not make roles and schemas",
                server.administrator
            ),
            "grant it `createrole` and `create` on the database, or use another login in `database.url`",
        );
    }
    if server.max_locks_per_transaction < LOCKS {
        report.warning(
            "locks",
            format!(
                "max_locks_per_transaction is {}: removing or dumping many tables at once runs out of locks",
                server.max_locks_per_transaction
            ),
            "`alter system set max_locks_per_transaction = 1024`, then restart PostgreSQL",
        );
    }
    if server.wal_level != "logical" {
        report.warning(
            "wal_level",
            format!(
                "wal_level is {}: no tenant can be moved to another server while it is served",
                server.wal_level
            ),
            "`alter system set wal_level = logical`, then restart PostgreSQL",
        );
    }
    for (setting, on) in [
        ("fsync", server.fsync),
        ("full_page_writes", server.full_page_writes),
    ] {
        if !on {
            report.warning(
                "durability",
                format!("{setting} is off: when the machine fails, the data is lost"),
                format!("`alter system set {setting} = on`, then `select pg_reload_conf()`"),
            );
        }
    }
    if server.password_encryption != "scram-sha-256" {
        report.warning(
            "passwords",
            format!("new passwords are stored as {}", server.password_encryption),
            "`alter system set password_encryption = 'scram-sha-256'`, `select pg_reload_conf()`, then `helixai migrate`",
        );
    }
}

/// Judges the versions of schemas `master` and `helixai`.
pub fn judge_versions(found: Versions, needed: Versions, report: &mut Report) {
    if found.master.is_none() {
        report.error(
            "migrations",
            "the database has not been set up",
            "run `helixai migrate`",
        );
        return;
    }
    for (schema, found, needed) in [
        ("master", found.master, needed.master),
        ("helixai", found.shard, needed.shard),
    ] {
        let (found, needed) = (found.unwrap_or_default(), needed.unwrap_or_default());
        let what = format!("schema {schema} has version {found}, this program was made for {needed}");
        if found < needed {
            report.error("migrations", what, "run `helixai migrate`");
        } else if found > needed {
            report.warning("migrations", what, "use the newer program that migrated it");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Level;
    use super::*;

    fn sound() -> Server {
        Server {
            version: 150_004,
            version_text: "15.4".to_owned(),
            clock: chrono::DateTime::UNIX_EPOCH,
            data_folder: None,
            started_at: chrono::DateTime::UNIX_EPOCH,
            max_connections: 100,
            reserved_connections: 3,
            max_locks_per_transaction: 1024,
            wal_level: "logical".to_owned(),
            fsync: true,
            full_page_writes: true,
            password_encryption: "scram-sha-256".to_owned(),
            encoding: "UTF8".to_owned(),
            administrator: "postgres".to_owned(),
            is_superuser: true,
            may_provision: true,
        }
    }

    fn found(change: impl FnOnce(&mut Server)) -> Vec<(&'static str, Level)> {
        let mut server = sound();
        change(&mut server);
        let mut report = Report::default();
        judge(&server, &mut report);
        let findings = report.into_findings();
        findings
            .into_iter()
            .map(|finding| (finding.check, finding.level))
            .collect()
    }

    #[test]
    fn each_setting_that_matters_is_found() {
        assert_eq!(found(|_| {}), []);
        assert_eq!(
            found(|server| server.version = 140_012),
            [("version", Level::Error)]
        );
        assert_eq!(
            found(|server| server.encoding = "SQL_ASCII".to_owned()),
            [("encoding", Level::Error)]
        );
        assert_eq!(
            found(|server| server.may_provision = false),
            [("administrator", Level::Error)]
        );
        assert_eq!(
            found(|server| server.max_locks_per_transaction = 64),
            [("locks", Level::Warning)]
        );
        assert_eq!(
            found(|server| server.wal_level = "replica".to_owned()),
            [("wal_level", Level::Warning)]
        );
        assert_eq!(
            found(|server| server.fsync = false),
            [("durability", Level::Warning)]
        );
        assert_eq!(
            found(|server| server.password_encryption = "md5".to_owned()),
            [("passwords", Level::Warning)]
        );
    }

    #[test]
    fn versions_are_behind_or_ahead() {
        let judge = |master, shard| {
            let needed = Versions {
                master: Some(7),
                shard: Some(1),
            };
            let mut report = Report::default();
            judge_versions(Versions { master, shard }, needed, &mut report);
            report
                .into_findings()
                .into_iter()
                .map(|finding| finding.level)
                .collect::<Vec<_>>()
        };
        assert_eq!(judge(Some(7), Some(1)), []);
        assert_eq!(judge(None, None), [Level::Error]);
        assert_eq!(judge(Some(6), Some(1)), [Level::Error]);
        assert_eq!(judge(Some(7), None), [Level::Error]);
        assert_eq!(judge(Some(8), Some(1)), [Level::Warning]);
    }
}
