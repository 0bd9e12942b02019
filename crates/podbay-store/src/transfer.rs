//! Moving an installation from one database to another, with its history.

use crate::store::{Connection, Database};
use crate::{Result, Store, StoreError, Tx, all, exec, opt};
use sqlx::AssertSqlSafe;
use sqlx::Postgres;
use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::query::Query;

/// Every table that is moved, each after those that it refers to. Servers and their claims are of the present
/// and stay behind.
pub const TABLES: [&str; 24] = [
    "install",
    "users",
    "api_keys",
    "ssh_keys",
    "hosts",
    "gpus",
    "allocations",
    "ports",
    "teams",
    "team_members",
    "invitations",
    "pods",
    "pod_members",
    "pod_keys",
    "forced_ends",
    "disks",
    "attachments",
    "events",
    "usage_intervals",
    "credits",
    "registry_credentials",
    "templates",
    "logins",
    "kept_replies",
];
/// Rows that one statement carries.
const BATCH: i64 = 1000;

/// A column, and what is in it of one batch.
struct Column {
    name: String,
    values: Values,
}

/// The types that migrations use.
enum Values {
    Text(Vec<Option<String>>),
    Number(Vec<Option<i64>>),
    Truth(Vec<Option<bool>>),
}

impl Values {
    fn of(kind: &str) -> Option<Self> {
        match kind {
            "TEXT" => Some(Self::Text(Vec::new())),
            "BIGINT" => Some(Self::Number(Vec::new())),
            "BOOLEAN" => Some(Self::Truth(Vec::new())),
            _ => None,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Number(_) => "bigint",
            Self::Truth(_) => "boolean",
        }
    }

    fn take(&mut self, row: &rusqlite::Row<'_>, nth: usize) -> Result<()> {
        match self {
            Self::Text(all) => all.push(row.get(nth)?),
            Self::Number(all) => all.push(row.get(nth)?),
            Self::Truth(all) => all.push(row.get(nth)?),
        }
        Ok(())
    }

    fn bind<'q>(&mut self, query: Query<'q, Postgres, PgArguments>) -> Query<'q, Postgres, PgArguments> {
        match self {
            Self::Text(all) => query.bind(std::mem::take(all)),
            Self::Number(all) => query.bind(std::mem::take(all)),
            Self::Truth(all) => query.bind(std::mem::take(all)),
        }
    }
}

impl Store {
    /// Moves everything into an empty PostgreSQL, in one transaction there, from one state here; how many rows of
    /// each table. Nobody may write here meanwhile.
    ///
    /// # Errors
    /// This is no SQLite, the other one no PostgreSQL or not empty, or the two are of different versions.
    pub async fn move_to(&self, target: &Self) -> Result<Vec<(&'static str, u64)>> {
        let (Database::Sqlite { .. }, Database::Postgres(pool)) =
            (&self.inner.database, &target.inner.database)
        else {
            return Err(StoreError::Other("only SQLite can be copied, and only to PostgreSQL".into()));
        };
        let mut from = self.reader().await?;
        if from.schema().await?.applied != target.reader().await?.schema().await?.applied {
            return Err(StoreError::Other("the two databases are of different versions of podbay".into()));
        }
        exec!(&mut from, "BEGIN")?;
        let mut into = pool.begin().await?;
        let mut moved = Vec::new();
        for table in TABLES {
            moved.push((table, move_table(&mut from, &mut into, table).await?));
        }
        into.commit().await?;
        exec!(&mut from, "ROLLBACK")?;
        Ok(moved)
    }
}

async fn move_table(from: &mut Tx, into: &mut PgConnection, table: &'static str) -> Result<u64> {
    let count = format!("SELECT COUNT(*) FROM {table}");
    let (there,): (i64,) = sqlx::query_as(AssertSqlSafe(count.as_str())).fetch_one(&mut *into).await?;
    if there != 0 {
        return Err(StoreError::Conflict(format!(
            "the PostgreSQL has {there} rows in {table} already: name an empty database"
        )));
    }
    let expected = opt!(from, (i64,), AssertSqlSafe(count.as_str()))?.map_or(0, |(count,)| count);
    let mut columns = columns(from, table).await?;
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let names = names.join(", ");
    let select = format!("SELECT rowid, {names} FROM {table} WHERE rowid > $1 ORDER BY rowid LIMIT {BATCH}");
    let lists: Vec<String> =
        (1..).zip(&columns).map(|(nth, c)| format!("${nth}::{}[]", c.values.kind())).collect();
    let insert = format!("INSERT INTO {table} ({names}) SELECT * FROM UNNEST({})", lists.join(", "));
    let (mut after, mut moved) = (0, 0);
    while let Some(last) = read(from, &select, after, &mut columns)? {
        after = last;
        let mut query = sqlx::query(AssertSqlSafe(insert.as_str()));
        for column in &mut columns {
            query = column.values.bind(query);
        }
        moved += query.execute(&mut *into).await?.rows_affected();
    }
    if i64::try_from(moved) != Ok(expected) {
        return Err(StoreError::Other(format!("{table} has {expected} rows, and {moved} were moved")));
    }
    Ok(moved)
}

/// A batch of rows, whatever is in them; the number of the last one, if there is one.
fn read(from: &mut Tx, select: &str, after: i64, columns: &mut [Column]) -> Result<Option<i64>> {
    let Connection::Sqlite(connection) = &mut from.connection else {
        return Err(StoreError::Other("only SQLite can be copied".into()));
    };
    let mut statement = connection.inner().prepare_cached(select)?;
    let mut rows = statement.query([after])?;
    let mut last = None;
    while let Some(row) = rows.next()? {
        last = Some(row.get(0)?);
        for (nth, column) in columns.iter_mut().enumerate() {
            column.values.take(row, nth + 1)?;
        }
    }
    Ok(last)
}

async fn columns(from: &mut Tx, table: &str) -> Result<Vec<Column>> {
    let found =
        all!(from, (String, String), "SELECT name, type FROM pragma_table_info($1) ORDER BY cid", table)?;
    let column = |(name, kind): (String, String)| match Values::of(&kind) {
        Some(values) => Ok(Column { name, values }),
        None => Err(StoreError::Other(format!("{table}.{name} is of type {kind}, which is not moved"))),
    };
    found.into_iter().map(column).collect()
}
