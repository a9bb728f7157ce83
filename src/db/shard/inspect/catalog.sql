-- What each of the schemas $1, whose tenants' roles are $2, consists of: one row per object, with what it is, in words that
-- are the same in every schema. One pass over the catalogue, however many schemas: it has no index by schema.
with schemas as materialized (
    select n.oid, w.schema_name, w.role_name, quote_ident(n.nspname) || '.' as prefix
    from unnest($1::text[], $2::text[]) as w (schema_name, role_name)
    join pg_namespace n on n.nspname = w.schema_name
),
relations as materialized (
    select c.oid, c.relname::text as name, c.relkind, c.relowner, c.relacl, c.relpersistence, c.relrowsecurity,
           c.relforcerowsecurity, c.reloptions, s.schema_name, s.role_name, s.prefix
    from pg_class c join schemas s on s.oid = c.relnamespace
),
-- Whatever has rights of its own: who owns it, and who may do what with it.
owned as (
    select schema_name, role_name, case relkind when 'v' then 'view ' when 'm' then 'materialized view '
               when 'S' then 'sequence ' when 'f' then 'foreign table ' when 'c' then 'type ' else 'table ' end || name as object,
           relowner as owner, coalesce(relacl, acldefault(case relkind when 'S' then 's' else 'r' end::"char", relowner)) as acl,
           concat_ws(', ', case when relpersistence <> 'p' then 'not logged' end,
               case when relrowsecurity then 'row security' end, case when relforcerowsecurity then 'for its owner too' end,
               reloptions::text,
               case when relkind in ('v', 'm') then replace(pg_get_viewdef(oid), prefix, '') end) as more
    from relations where relkind not in ('i', 'I')
    union all
    select s.schema_name, s.role_name,
           format('function %s(%s)', p.proname, replace(pg_get_function_identity_arguments(p.oid), s.prefix, '')), p.proowner,
           coalesce(p.proacl, acldefault('f', p.proowner)),
           case when p.prokind in ('f', 'p') then replace(pg_get_functiondef(p.oid), s.prefix, '') else 'aggregate' end
    from pg_proc p join schemas s on s.oid = p.pronamespace
    union all
    select s.schema_name, s.role_name, 'type ' || t.typname, t.typowner, coalesce(t.typacl, acldefault('T', t.typowner)),
           t.typtype::text
    from pg_type t join schemas s on s.oid = t.typnamespace
    where t.typrelid = 0 and t.typtype in ('e', 'd', 'r', 'm')
    union all
    select s.schema_name, s.role_name, format('default privileges of %s on %s', pg_get_userbyid(d.defaclrole),
               case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' else d.defaclobjtype::text end),
           d.defaclrole, d.defaclacl, null
    from pg_default_acl d join schemas s on s.oid = d.defaclnamespace
),
facts as (
    select o.schema_name, o.object,
           concat_ws(', ', 'owner ' || replace(pg_get_userbyid(o.owner), o.role_name, 'the tenant'),
               (select string_agg(g.grant_text, ' ' order by g.grant_text) from (
                    select format('%s:%s%s', case when a.grantee = 0 then 'PUBLIC' else
                               replace(pg_get_userbyid(a.grantee), o.role_name, 'the tenant') end,
                               a.privilege_type, case when a.is_grantable then '*' end) as grant_text
                    from aclexplode(o.acl) a) g),
               o.more) as definition
    from owned o
    union all
    select r.schema_name, format('column %s.%s', r.name, a.attname),
           concat_ws(' ', replace(format_type(a.atttypid, a.atttypmod), r.prefix, ''), case when a.attnotnull then 'not null' end,
               case a.attgenerated when '' then 'default' else 'generated' end || ' '
                   || replace(pg_get_expr(d.adbin, d.adrelid), r.prefix, ''),
               case when a.attidentity <> '' then 'identity' end,
               replace(a.attacl::text, r.role_name, 'the tenant'))
    from relations r
    join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where r.relkind not in ('i', 'I')
    union all
    select r.schema_name, 'index ' || r.name,
           concat_ws(', ', replace(pg_get_indexdef(i.indexrelid), r.prefix, ''), case when not i.indisvalid then 'not valid' end)
    from relations r join pg_index i on i.indexrelid = r.oid
    union all
    select s.schema_name, format('constraint %s.%s', coalesce(r.name, 'a type'), k.conname),
           concat_ws(', ', replace(pg_get_constraintdef(k.oid), s.prefix, ''), case when not k.convalidated then 'not valid' end)
    from pg_constraint k join schemas s on s.oid = k.connamespace left join relations r on r.oid = k.conrelid
    union all
    select r.schema_name, format('trigger %s.%s', r.name, t.tgname),
           concat_ws(', ', replace(pg_get_triggerdef(t.oid), r.prefix, ''), case when t.tgenabled <> 'O' then 'not as usual' end)
    from relations r join pg_trigger t on t.tgrelid = r.oid where not t.tgisinternal
    union all
    select r.schema_name, format('rule %s.%s', r.name, w.rulename), replace(pg_get_ruledef(w.oid), r.prefix, '')
    from relations r join pg_rewrite w on w.ev_class = r.oid where w.rulename <> '_RETURN'
    union all
    select r.schema_name, format('policy %s.%s', r.name, p.polname),
           concat_ws(' ', p.polcmd::text, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
    from relations r join pg_policy p on p.polrelid = r.oid
)
