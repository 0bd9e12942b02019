//! Lists of any length: as a part, as all rows, or as a stream that asks for the next part when it is needed.
//!
//! What is added or removed while a stream is read may shift a list that is cut by offset, so that one row is
//! seen twice or not at all. Events are numbered: none of them is missed.

use super::calls::{DiskOfferFilter, OfferFilter, pages, part};
use super::{Client, Error};
use crate::availability::{DiskAvailability, GpuAvailability};
use crate::billing::{BillingEntry, Wallet};
use crate::disks::Disk;
use crate::events::PodEvent;
use crate::page::{Data, OffsetPage};
use crate::ssh_keys::SshKey;
use crate::teams::{Member, Team};
use crate::templates::Template;
use crate::users::User;
use futures_util::stream::{self, Stream, TryStreamExt};
use podbay_core::limits;
use serde::de::DeserializeOwned;

/// Every method: as those of the single calls.
#[allow(clippy::missing_errors_doc, reason = "said once, there")]
impl Client {
    /// All rows of a list that is cut by offset and limit.
    pub(super) fn rows<'a, T: DeserializeOwned + 'a>(
        &'a self,
        segments: &[&'a str],
        query: Vec<(&'static str, String)>,
    ) -> impl Stream<Item = Result<T, Error>> + use<'a, T> {
        let segments = segments.to_vec();
        pages(move |_, read| {
            let query = [query.clone(), part(read, limits::PAGE_LIMIT_MAX)].concat();
            let segments = segments.clone();
            async move {
                let page: OffsetPage<T> = self.get(&segments, &query).await?;
                Ok((page.data, page.total_count))
            }
        })
    }

    async fn page<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        offset: u64,
        limit: u32,
    ) -> Result<OffsetPage<T>, Error> {
        self.get(segments, &part(offset, limit)).await
    }

    /// Live disks, one part of them.
    pub async fn disks(&self, offset: u64, limit: u32) -> Result<OffsetPage<Disk>, Error> {
        self.page(&["disks"], offset, limit).await
    }

    /// Live disks, all of them.
    pub async fn disks_all(&self) -> Result<Vec<Disk>, Error> {
        self.disks_stream().try_collect().await
    }

    /// Live disks, one after the other.
    ///
    /// ```no_run
    /// use futures_util::TryStreamExt;
    ///
    /// # async fn example(client: podbay_api::client::Client) -> Result<(), podbay_api::client::Error> {
    /// let mut disks = std::pin::pin!(client.disks_stream());
    /// while let Some(disk) = disks.try_next().await? {
    ///     println!("{} has {} GB and is at {} pods", disk.name, disk.size, disk.pods.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn disks_stream(&self) -> impl Stream<Item = Result<Disk, Error>> + '_ {
        self.rows(&["disks"], Vec::new())
    }

    /// All offers of persistent disks.
    pub async fn disk_offers_all(&self, filter: &DiskOfferFilter) -> Result<Vec<DiskAvailability>, Error> {
        self.disk_offers_stream(filter).try_collect().await
    }

    /// All offers of persistent disks, one after the other.
    pub fn disk_offers_stream<'a>(
        &'a self,
        filter: &'a DiskOfferFilter,
    ) -> impl Stream<Item = Result<DiskAvailability, Error>> + 'a {
        pages(move |number, _| async move {
            let page = self.disk_offers(filter, number, limits::PAGE_SIZE_MAX).await?;
            Ok((page.items, page.total_count))
        })
    }

    /// All offers of one machine.
    pub async fn offers_all(&self, filter: &OfferFilter) -> Result<Vec<GpuAvailability>, Error> {
        self.offers_stream(filter).try_collect().await
    }

    /// All offers of one machine, one after the other.
    ///
    /// ```no_run
    /// use futures_util::TryStreamExt;
    /// use podbay_api::client::OfferFilter;
    ///
    /// # async fn example(client: podbay_api::client::Client) -> Result<(), podbay_api::client::Error> {
    /// let wanted = OfferFilter { gpu_type: Some("H100_80GB".into()), ..OfferFilter::default() };
    /// let mut offers = std::pin::pin!(client.offers_stream(&wanted));
    /// while let Some(offer) = offers.try_next().await? {
    ///     println!("{}: {:?} dollars per hour", offer.cloud_id, offer.prices.effective());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn offers_stream<'a>(
        &'a self,
        filter: &'a OfferFilter,
    ) -> impl Stream<Item = Result<GpuAvailability, Error>> + 'a {
        pages(move |number, _| async move {
            let page = self.offers(filter, number, limits::PAGE_SIZE_MAX).await?;
            Ok((page.items, page.total_count))
        })
    }

    /// All offers of several machines, one after the other.
    pub fn offers_multi_node_stream<'a>(
        &'a self,
        filter: &'a OfferFilter,
    ) -> impl Stream<Item = Result<GpuAvailability, Error>> + 'a {
        pages(move |number, _| async move {
            let page = self.offers_multi_node(filter, number, limits::PAGE_SIZE_MAX).await?;
            Ok((page.items, page.total_count))
        })
    }

    /// The account's SSH keys, one part of them.
    pub async fn ssh_keys_page(&self, offset: u64, limit: u32) -> Result<OffsetPage<SshKey>, Error> {
        self.page(&["ssh_keys"], offset, limit).await
    }

    /// The account's SSH keys.
    pub async fn ssh_keys(&self) -> Result<Vec<SshKey>, Error> {
        self.ssh_keys_stream().try_collect().await
    }

    /// The account's SSH keys, one after the other.
    pub fn ssh_keys_stream(&self) -> impl Stream<Item = Result<SshKey, Error>> + '_ {
        self.rows(&["ssh_keys"], Vec::new())
    }

    /// The account's templates, one part of them.
    pub async fn templates_page(&self, offset: u64, limit: u32) -> Result<OffsetPage<Template>, Error> {
        self.page(&["templates"], offset, limit).await
    }

    /// The account's templates.
    pub async fn templates(&self) -> Result<Vec<Template>, Error> {
        self.templates_stream().try_collect().await
    }

    /// The account's templates, one after the other.
    pub fn templates_stream(&self) -> impl Stream<Item = Result<Template, Error>> + '_ {
        self.rows(&["templates"], Vec::new())
    }

    /// Users of the installation, one part of them.
    pub async fn users_page(&self, offset: u64, limit: u32) -> Result<OffsetPage<User>, Error> {
        self.page(&["users"], offset, limit).await
    }

    /// All users of the installation.
    pub async fn users(&self) -> Result<Vec<User>, Error> {
        self.users_stream().try_collect().await
    }

    /// All users of the installation, one after the other.
    pub fn users_stream(&self) -> impl Stream<Item = Result<User, Error>> + '_ {
        self.rows(&["users"], Vec::new())
    }

    /// The caller's teams, one part of them.
    pub async fn teams_page(&self, offset: u64, limit: u32) -> Result<OffsetPage<Team>, Error> {
        self.page(&["user", "teams"], offset, limit).await
    }

    /// The caller's teams.
    pub async fn teams(&self) -> Result<Vec<Team>, Error> {
        self.teams_stream().try_collect().await
    }

    /// The caller's teams, one after the other.
    pub fn teams_stream(&self) -> impl Stream<Item = Result<Team, Error>> + '_ {
        self.rows(&["user", "teams"], Vec::new())
    }

    /// A team's members, one part of them.
    pub async fn team_members_page(
        &self,
        id: &str,
        offset: u64,
        limit: u32,
    ) -> Result<OffsetPage<Member>, Error> {
        self.page(&["teams", id, "members"], offset, limit).await
    }

    /// A team's members.
    pub async fn team_members(&self, id: &str) -> Result<Vec<Member>, Error> {
        self.team_members_stream(id).try_collect().await
    }

    /// A team's members, one after the other.
    ///
    /// ```no_run
    /// use futures_util::TryStreamExt;
    ///
    /// # async fn example(client: podbay_api::client::Client) -> Result<(), podbay_api::client::Error> {
    /// for team in client.teams().await? {
    ///     let mut members = std::pin::pin!(client.team_members_stream(&team.team_id));
    ///     while let Some(member) = members.try_next().await? {
    ///         println!("{}: {} is {}", team.name, member.user_id, member.role);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn team_members_stream<'a>(&'a self, id: &'a str) -> impl Stream<Item = Result<Member, Error>> + 'a {
        self.rows(&["teams", id, "members"], Vec::new())
    }

    /// The lines of the caller's bill, or of a team's, last billed first.
    ///
    /// ```no_run
    /// use futures_util::TryStreamExt;
    ///
    /// # async fn example(client: podbay_api::client::Client) -> Result<(), podbay_api::client::Error> {
    /// println!("{} dollars are left", client.wallet(None, 0, 1).await?.balance_usd);
    /// let mut lines = std::pin::pin!(client.bill_stream(None));
    /// while let Some(line) = lines.try_next().await? {
    ///     println!("{}: {} dollars", line.resource_type, line.amount_usd);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn bill_stream<'a>(
        &'a self,
        team: Option<&'a str>,
    ) -> impl Stream<Item = Result<BillingEntry, Error>> + 'a {
        pages(move |_, read| async move {
            let Wallet { recent_billings, total_billings, .. } =
                self.wallet(team, read, limits::BILLING_LIMIT_MAX).await?;
            Ok((recent_billings, total_billings))
        })
    }

    /// What happened to a pod after the event `after`, oldest first, until there is no more now.
    ///
    /// ```no_run
    /// use futures_util::TryStreamExt;
    ///
    /// # async fn example(client: podbay_api::client::Client) -> Result<(), podbay_api::client::Error> {
    /// let mut events = std::pin::pin!(client.pod_events_stream("0123456789abcdef0123456789abcdef", 0));
    /// while let Some(event) = events.try_next().await? {
    ///     println!("{} {} {}", event.at, event.kind, event.text);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn pod_events_stream<'a>(
        &'a self,
        id: &'a str,
        after: i64,
    ) -> impl Stream<Item = Result<PodEvent, Error>> + 'a {
        self.events(["pods", id, "events"], after)
    }

    /// What happened to a disk after the event `after`, oldest first, until there is no more now.
    pub fn disk_events_stream<'a>(
        &'a self,
        id: &'a str,
        after: i64,
    ) -> impl Stream<Item = Result<PodEvent, Error>> + 'a {
        self.events(["disks", id, "events"], after)
    }

    fn events<'a>(
        &'a self,
        segments: [&'a str; 3],
        after: i64,
    ) -> impl Stream<Item = Result<PodEvent, Error>> + 'a {
        stream::try_unfold(Some(after), move |after| async move {
            let Some(after) = after else { return Ok(None) };
            let query = [("after", after.to_string()), ("limit", limits::PAGE_LIMIT_MAX.to_string())];
            let events = self.get::<Data<Vec<PodEvent>>>(&segments, &query).await?.data;
            // Only what comes after is asked for again, or a wrong server would hold us for ever.
            let next = events.last().map(|last| last.seq).filter(|last| *last > after);
            Ok(Some((stream::iter(events.into_iter().map(Ok)), next)))
        })
        .try_flatten()
    }
}
