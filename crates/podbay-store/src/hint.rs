//! Short texts between the servers of one database. They are hints: one that is lost costs time only, and
//! nobody may rely on one.

use crate::store::Database;
use crate::{Result, Store};
use sqlx::postgres::{PgListener, PgPool};

/// What the other servers say, as long as this lives.
pub struct Hints(PgListener);

impl Hints {
    /// The next text; `None` if some may have been lost.
    ///
    /// # Errors
    /// The database does not answer. The next call tries again.
    pub async fn next(&mut self) -> Result<Option<String>> {
        Ok(self.0.try_recv().await?.map(|said| said.payload().to_owned()))
    }
}

impl Store {
    /// Listens to the servers of this database, this one among them; `None` where there cannot be others.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn hints(&self) -> Result<Option<Hints>> {
        let Database::Postgres(pool) = &self.inner.database else { return Ok(None) };
        let mut listener = PgListener::connect_with(pool).await?;
        // It belongs to no pool: a store that closes does not wait for it.
        listener.ignore_pool_close_event(true);
        listener.listen(&channel(pool).await?).await?;
        Ok(Some(Hints(listener)))
    }

    /// Says these texts, each shorter than 8,000 bytes, to the servers of this database.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn hint(&self, texts: &[String]) -> Result<()> {
        let Database::Postgres(pool) = &self.inner.database else { return Ok(()) };
        let sql = "SELECT pg_notify($1, text) FROM unnest($2::text[]) AS text";
        sqlx::query(sql).bind(channel(pool).await?).bind(texts).execute(pool).await?;
        Ok(())
    }
}

/// Channels are common to the schemas of a database.
async fn channel(pool: &PgPool) -> Result<String> {
    let (schema,): (String,) = sqlx::query_as("SELECT current_schema()::text").fetch_one(pool).await?;
    Ok(format!("podbay_{schema}"))
}
