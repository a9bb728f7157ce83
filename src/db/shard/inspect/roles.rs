//! The cluster's roles that belong to a shard, and who may act as whom.

use tokio_postgres::Client;

use crate::db::DbError;

/// A role and what it may do besides its grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// May log in.
    pub login: bool,
    /// Has the rights of the roles it is a member of without becoming them.
    pub inherit: bool,
    /// The attributes it has of those that no role of a shard may have, as `alter role` spells them.
    pub powers: Vec<String>,
}

/// A membership: `member` may act as `role`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The role that is a member.
    pub member: String,
    /// The role it is a member of.
    pub role: String,
    /// It has the rights of `role` at once.
    pub inherits: bool,
    /// It may become `role`.
    pub sets: bool,
    /// It may make others members.
    pub admin: bool,
    /// The member is a superuser or this connection's administrator, which this right gives nothing.
    pub is_administrators: bool,
}

/// The roles of the shard with this prefix.
///
/// # Errors
/// When the catalogue cannot be read.
pub async fn roles(admin: &Client, prefix: &str) -> Result<Vec<Role>, DbError> {
    let rows = admin
        .query(
            "select r.rolname::text, r.rolcanlogin, r.rolinherit,
                    array_remove(array[case when r.rolsuper then 'superuser' end,
                                       case when r.rolbypassrls then 'bypassrls' end,
                                       case when r.rolcreaterole then 'createrole' end,
                                       case when r.rolcreatedb then 'createdb' end,
                                       case when r.rolreplication then 'replication' end], null)
             from pg_roles r where starts_with(r.rolname, $1) order by 1",
            &[&format!("{prefix}_")],
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| Role {
            name: row.get(0),
            login: row.get(1),
            inherit: row.get(2),
            powers: row.get(3),
        })
        .collect())
}

/// The memberships in, and of, the roles of the shard with this prefix.
///
/// # Errors
/// When the catalogue cannot be read.
pub async fn memberships(admin: &Client, prefix: &str) -> Result<Vec<Membership>, DbError> {
    // `inherit_option` and `set_option` exist from PostgreSQL 16 on; before it the member's own attribute decides.
    let rows = admin
        .query(
            "select m.rolname::text, r.rolname::text,
                    bool_or(coalesce((to_jsonb(a) ->> 'inherit_option')::bool, m.rolinherit)),
                    bool_or(coalesce((to_jsonb(a) ->> 'set_option')::bool, true)),
                    bool_or(a.admin_option), m.rolsuper or m.rolname = current_user
             from pg_auth_members a
             join pg_roles m on m.oid = a.member
             join pg_roles r on r.oid = a.roleid
             where starts_with(m.rolname, $1) or starts_with(r.rolname, $1)
             group by m.rolname, r.rolname, m.rolsuper
             order by 2, 1",
            &[&format!("{prefix}_")],
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| Membership {
            member: row.get(0),
            role: row.get(1),
            inherits: row.get(2),
            sets: row.get(3),
            admin: row.get(4),
            is_administrators: row.get(5),
        })
        .collect())
}
