//! One method per route.

use super::{Client, Error};
use crate::Empty;
use crate::availability::{DiskAvailability, GpuAvailability, OfferMap, PriceSummary};
use crate::disks::{CreateDisk, Disk, PatchDisk};
use crate::events::PodEvent;
use crate::page::{Data, NumberedPage, OffsetPage};
use crate::paths;
use crate::pods::{CreatePod, Deleted, HistoryEntry, LogReply, Pod, PodStatusRow};
use crate::ssh_keys::{AddSshKey, PatchSshKey, SshKey, SshKeyUpdated};
use crate::templates::{
    AddRegistryCredentials, ChangeTemplate, CheckImage, CreateTemplate, ImageChecked, RegistryCredentials,
    RegistryCredentialsList, Template,
};
use futures_util::stream::{self, Stream, TryStreamExt};
use podbay_core::limits;
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A call without a body.
pub(super) const NOTHING: Option<&Empty> = None;
/// Most pages that are read of one list: a server whose count is wrong must not hold us for ever.
const PAGES_MAX: u32 = 1_000;

/// Which offers to list; everything that is not set lets all pass.
#[derive(Clone, Debug, Default)]
pub struct OfferFilter {
    /// Regions, any of them.
    pub regions: Vec<String>,
    /// GPUs.
    pub gpu_count: Option<u32>,
    /// GPU model.
    pub gpu_type: Option<String>,
    /// Socket.
    pub socket: Option<String>,
    /// Security class.
    pub security: Option<String>,
    /// Data centre.
    pub data_center_id: Option<String>,
    /// Offer.
    pub cloud_id: Option<String>,
    /// Disks near which it must be.
    pub disks: Vec<String>,
}

impl OfferFilter {
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let one = [
            ("gpu_count", self.gpu_count.map(|count| count.to_string())),
            ("gpu_type", self.gpu_type.clone()),
            ("socket", self.socket.clone()),
            ("security", self.security.clone()),
            ("data_center_id", self.data_center_id.clone()),
            ("cloud_id", self.cloud_id.clone()),
        ];
        let regions = self.regions.iter().map(|region| ("regions", region.clone()));
        let disks = self.disks.iter().map(|disk| ("disks", disk.clone()));
        let one = one.into_iter().filter_map(|(key, value)| Some((key, value?)));
        one.chain(regions).chain(disks).collect()
    }
}

/// Which offers of persistent disks to list; everything that is not set lets all pass.
#[derive(Clone, Debug, Default)]
pub struct DiskOfferFilter {
    /// Regions, any of them.
    pub regions: Vec<String>,
    /// Data centre.
    pub data_center_id: Option<String>,
    /// Offer.
    pub cloud_id: Option<String>,
}

impl DiskOfferFilter {
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let one = [("data_center_id", &self.data_center_id), ("cloud_id", &self.cloud_id)];
        let one = one.into_iter().filter_map(|(key, value)| Some((key, value.clone()?)));
        one.chain(self.regions.iter().map(|region| ("regions", region.clone()))).collect()
    }
}

/// What the history is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortBy {
    /// The end.
    #[default]
    TerminatedAt,
    /// The order.
    CreatedAt,
}

/// Which way it is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortOrder {
    /// Latest first.
    #[default]
    Descending,
    /// Earliest first.
    Ascending,
}

/// Which part of the history.
#[derive(Clone, Copy, Debug)]
pub struct HistoryQuery {
    /// Sorted by.
    pub sort_by: SortBy,
    /// Which way.
    pub sort_order: SortOrder,
    /// Rows to skip.
    pub offset: u64,
    /// Most rows.
    pub limit: u32,
}

impl Default for HistoryQuery {
    fn default() -> Self {
        let (sort_by, sort_order) = (SortBy::default(), SortOrder::default());
        Self { sort_by, sort_order, offset: 0, limit: limits::PAGE_LIMIT_DEFAULT }
    }
}

impl HistoryQuery {
    fn sorting(&self) -> Vec<(&'static str, String)> {
        let sort_by = match self.sort_by {
            SortBy::TerminatedAt => "terminatedAt",
            SortBy::CreatedAt => "createdAt",
        };
        let sort_order = match self.sort_order {
            SortOrder::Descending => "desc",
            SortOrder::Ascending => "asc",
        };
        vec![("sort_by", sort_by.to_owned()), ("sort_order", sort_order.to_owned())]
    }
}

/// Every method: [`Error::Unreachable`] if no answer came, [`Error::Status`] if the server
/// refused, [`Error::Malformed`] if it is no server of this API.
#[allow(clippy::missing_errors_doc, reason = "said once, above")]
impl Client {
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        query: &[(&str, String)],
    ) -> Result<T, Error> {
        self.call(Method::GET, segments, query, NOTHING).await
    }

    /// Live pods, one part of them.
    pub async fn pods(&self, offset: u64, limit: u32) -> Result<OffsetPage<Pod>, Error> {
        self.get(&["pods"], &part(offset, limit)).await
    }

    /// Live pods, all of them.
    pub async fn pods_all(&self) -> Result<Vec<Pod>, Error> {
        self.pods_stream().try_collect().await
    }

    /// Live pods, one after the other; parts of the list are asked for as they are needed. A pod that
    /// is made or deleted meanwhile may shift the list, so that one is seen twice or not at all.
    ///
    /// ```no_run
    /// use futures_util::TryStreamExt;
    ///
    /// # async fn example(client: podbay_api::client::Client) -> Result<(), podbay_api::client::Error> {
    /// let mut pods = std::pin::pin!(client.pods_stream());
    /// while let Some(pod) = pods.try_next().await? {
    ///     println!("{}", pod.id);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn pods_stream(&self) -> impl Stream<Item = Result<Pod, Error>> + '_ {
        self.rows(&["pods"], Vec::new())
    }

    /// One live pod.
    pub async fn pod(&self, id: &str) -> Result<Pod, Error> {
        self.get(&["pods", id], &[]).await
    }

    /// Orders a pod.
    ///
    /// ```no_run
    /// use podbay_api::pods::CreatePod;
    ///
    /// # async fn example(client: podbay_api::client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let order = CreatePod::parse(&serde_json::json!({
    ///     "pod": { "cloudId": "cpu-1x2", "gpuType": "CPU_NODE", "socket": "PCIe", "gpuCount": 1 },
    ///     "provider": { "type": "primecompute" },
    /// }))
    /// .map_err(|wrong| wrong[0].to_string())?;
    /// let pod = client.pod_create(&order).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn pod_create(&self, order: &CreatePod) -> Result<Pod, Error> {
        self.call(Method::POST, &["pods"], &[], Some(order)).await
    }

    /// Deletes a pod.
    pub async fn pod_delete(&self, id: &str) -> Result<Deleted, Error> {
        self.call(Method::DELETE, &["pods", id], &[], NOTHING).await
    }

    /// Ends a pod whose host is lost, without waiting for its machine to be gone; for the owner of the
    /// installation.
    pub async fn pod_end_by_force(&self, id: &str) -> Result<Deleted, Error> {
        self.call(Method::DELETE, &["pods", id], &[("force", "true".to_owned())], NOTHING).await
    }

    /// Status of these pods; those that are gone are missing. Without ids: of all live ones.
    pub async fn pod_statuses(&self, ids: &[&str]) -> Result<Vec<PodStatusRow>, Error> {
        let query: Vec<_> = ids.iter().map(|id| ("pod_ids", (*id).to_owned())).collect();
        let rows: Data<Option<Vec<PodStatusRow>>> = self.get(&["pods", "status"], &query).await?;
        Ok(rows.data.unwrap_or_default())
    }

    /// Pods that have ended, one part of them.
    pub async fn pod_history(&self, query: &HistoryQuery) -> Result<OffsetPage<HistoryEntry>, Error> {
        let pairs = [query.sorting(), part(query.offset, query.limit)].concat();
        self.get(&["pods", "history"], &pairs).await
    }

    /// Pods that have ended, from the first one on, whatever offset and limit say.
    ///
    /// ```no_run
    /// use futures_util::TryStreamExt;
    /// use podbay_api::client::{HistoryQuery, SortBy, SortOrder};
    ///
    /// # async fn example(client: podbay_api::client::Client) -> Result<(), podbay_api::client::Error> {
    /// let (sort_by, sort_order) = (SortBy::CreatedAt, SortOrder::Ascending);
    /// let query = HistoryQuery { sort_by, sort_order, ..HistoryQuery::default() };
    /// let mut ended = std::pin::pin!(client.pod_history_stream(&query));
    /// while let Some(pod) = ended.try_next().await? {
    ///     println!("{} has cost {} dollars", pod.name, pod.total_billed_price);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn pod_history_stream(
        &self,
        query: &HistoryQuery,
    ) -> impl Stream<Item = Result<HistoryEntry, Error>> + '_ {
        self.rows(&["pods", "history"], query.sorting())
    }

    /// The last lines that the pod's first process wrote.
    pub async fn pod_log(&self, id: &str, tail: u32) -> Result<LogReply, Error> {
        self.get(&["pods", id, "log"], &[("tail", tail.to_string())]).await
    }

    /// What happened to a pod after the event `after`, oldest first.
    pub async fn pod_events(&self, id: &str, after: i64, limit: u32) -> Result<Vec<PodEvent>, Error> {
        let query = [("after", after.to_string()), ("limit", limit.to_string())];
        Ok(self.get::<Data<Vec<PodEvent>>>(&["pods", id, "events"], &query).await?.data)
    }

    /// One page of the offers, counted from 1.
    pub async fn offers(
        &self,
        filter: &OfferFilter,
        page: u32,
        page_size: u32,
    ) -> Result<NumberedPage<GpuAvailability>, Error> {
        self.offer_page("gpus", filter, page, page_size).await
    }

    /// One page of the offers of several machines, counted from 1.
    pub async fn offers_multi_node(
        &self,
        filter: &OfferFilter,
        page: u32,
        page_size: u32,
    ) -> Result<NumberedPage<GpuAvailability>, Error> {
        self.offer_page("multi-node", filter, page, page_size).await
    }

    async fn offer_page(
        &self,
        list: &str,
        filter: &OfferFilter,
        page: u32,
        page_size: u32,
    ) -> Result<NumberedPage<GpuAvailability>, Error> {
        self.get(&["availability", list], &[filter.pairs(), numbered(page, page_size)].concat()).await
    }

    /// One page of the offers by GPU type: the legacy form, whose pages may be longer.
    pub async fn offer_map(
        &self,
        filter: &OfferFilter,
        page: u32,
        page_size: u32,
    ) -> Result<OfferMap, Error> {
        self.get(&["availability", ""], &[filter.pairs(), numbered(page, page_size)].concat()).await
    }

    /// Prices by GPU type, count and region.
    pub async fn gpu_summary(&self) -> Result<PriceSummary, Error> {
        self.get(&["availability", "gpu-summary"], &[]).await
    }

    /// One page of the offers of persistent disks, counted from 1.
    pub async fn disk_offers(
        &self,
        filter: &DiskOfferFilter,
        page: u32,
        page_size: u32,
    ) -> Result<NumberedPage<DiskAvailability>, Error> {
        self.get(&["availability", "disks"], &[filter.pairs(), numbered(page, page_size)].concat()).await
    }

    /// One live disk.
    pub async fn disk(&self, id: &str) -> Result<Disk, Error> {
        self.get(&["disks", id], &[]).await
    }

    /// Orders a disk.
    ///
    /// ```no_run
    /// use podbay_api::disks::{CreateDisk, PatchDisk};
    ///
    /// # async fn example(client: podbay_api::client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let order = CreateDisk::parse(&serde_json::json!({
    ///     "disk": { "size": 100, "name": "data" }, "provider": { "type": "primecompute" },
    /// }))
    /// .map_err(|wrong| wrong[0].to_string())?;
    /// let disk = client.disk_create(&order).await?;
    /// client.disk_update(&disk.id, &PatchDisk { name: None, size: Some(200) }).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn disk_create(&self, order: &CreateDisk) -> Result<Disk, Error> {
        self.call(Method::POST, &["disks"], &[], Some(order)).await
    }

    /// Renames or grows a disk.
    pub async fn disk_update(&self, id: &str, change: &PatchDisk) -> Result<Disk, Error> {
        self.call(Method::PATCH, &["disks", id], &[], Some(change)).await
    }

    /// Deletes a disk and everything on it.
    pub async fn disk_delete(&self, id: &str) -> Result<Deleted, Error> {
        self.call(Method::DELETE, &["disks", id], &[], NOTHING).await
    }

    /// What happened to a disk after the event `after`, oldest first.
    pub async fn disk_events(&self, id: &str, after: i64, limit: u32) -> Result<Vec<PodEvent>, Error> {
        let query = [("after", after.to_string()), ("limit", limit.to_string())];
        Ok(self.get::<Data<Vec<PodEvent>>>(&["disks", id, "events"], &query).await?.data)
    }

    /// One page of the offers of several machines by GPU type: the legacy form.
    pub async fn cluster_map(
        &self,
        filter: &OfferFilter,
        page: u32,
        page_size: u32,
    ) -> Result<OfferMap, Error> {
        self.get(&["availability", "clusters"], &[filter.pairs(), numbered(page, page_size)].concat()).await
    }

    /// Prices of offers of several machines.
    pub async fn multi_node_summary(&self) -> Result<PriceSummary, Error> {
        self.get(&["availability", "multi-node-summary"], &[]).await
    }

    /// The offers as SkyPilot's catalog: text with a line for each.
    pub async fn skypilot_catalog(&self) -> Result<String, Error> {
        let bytes = self.bytes(paths::SKYPILOT_CATALOG).await?;
        let malformed =
            |cause: String| Error::Malformed { url: self.base().to_owned() + paths::SKYPILOT_CATALOG, cause };
        let text = String::from_utf8(bytes).map_err(|error| malformed(error.to_string()))?;
        if text.starts_with("InstanceType,") { Ok(text) } else { Err(malformed("no catalog".into())) }
    }

    /// Adds an SSH key.
    pub async fn ssh_key_add(&self, key: &AddSshKey) -> Result<SshKey, Error> {
        self.call(Method::POST, &["ssh_keys"], &[], Some(key)).await
    }

    /// Deletes an SSH key.
    pub async fn ssh_key_delete(&self, id: &str) -> Result<(), Error> {
        self.call::<Empty>(Method::DELETE, &["ssh_keys", id], &[], NOTHING).await.map(|_| ())
    }

    /// Makes an SSH key the primary one.
    pub async fn ssh_key_set_primary(&self, id: &str) -> Result<SshKeyUpdated, Error> {
        let change = PatchSshKey { is_primary: true };
        self.call(Method::PATCH, &["ssh_keys", id], &[], Some(&change)).await
    }

    /// One template.
    pub async fn template(&self, id: &str) -> Result<Template, Error> {
        self.get(&["templates", id], &[]).await
    }

    /// Makes a template.
    ///
    /// ```no_run
    /// use podbay_api::templates::CreateTemplate;
    ///
    /// # async fn example(client: podbay_api::client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let template = CreateTemplate::parse(&serde_json::json!({
    ///     "name": "web", "image": "docker.io/library/nginx:latest", "ports": [{ "number": 80 }],
    /// }))
    /// .map_err(|wrong| wrong[0].to_string())?;
    /// let template = client.template_create(&template).await?;
    /// println!("order it with customTemplateId {}", template.id);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn template_create(&self, template: &CreateTemplate) -> Result<Template, Error> {
        self.call(Method::POST, &["templates"], &[], Some(template)).await
    }

    /// Changes a template.
    pub async fn template_update(&self, id: &str, change: &ChangeTemplate) -> Result<Template, Error> {
        self.call(Method::PATCH, &["templates", id], &[], Some(change)).await
    }

    /// Deletes a template.
    pub async fn template_delete(&self, id: &str) -> Result<(), Error> {
        self.call::<Empty>(Method::DELETE, &["templates", id], &[], NOTHING).await.map(|_| ())
    }

    /// Asks the registry for an image.
    pub async fn image_check(&self, image: &CheckImage) -> Result<ImageChecked, Error> {
        self.call(Method::POST, &["template", "check-docker-image"], &[], Some(image)).await
    }

    /// The account's credentials of registries.
    pub async fn registry_credentials(&self) -> Result<Vec<RegistryCredentials>, Error> {
        let list: RegistryCredentialsList = self.get(&["template", "registry-credentials"], &[]).await?;
        Ok(list.credentials)
    }

    /// Adds credentials of a registry.
    pub async fn registry_credentials_add(
        &self,
        credentials: &AddRegistryCredentials,
    ) -> Result<RegistryCredentials, Error> {
        self.call(Method::POST, &["template", "registry-credentials"], &[], Some(credentials)).await
    }

    /// Deletes credentials of a registry.
    pub async fn registry_credentials_delete(&self, id: &str) -> Result<(), Error> {
        let segments = ["template", "registry-credentials", id];
        self.call::<Empty>(Method::DELETE, &segments, &[], NOTHING).await.map(|_| ())
    }

    /// The server's own description of all its calls (OpenAPI 3.1).
    pub async fn contract(&self) -> Result<Value, Error> {
        self.document(paths::OPENAPI).await
    }
}

fn numbered(page: u32, page_size: u32) -> Vec<(&'static str, String)> {
    vec![("page", page.to_string()), ("page_size", page_size.to_string())]
}

pub(super) fn part(offset: u64, limit: u32) -> Vec<(&'static str, String)> {
    vec![("offset", offset.to_string()), ("limit", limit.to_string())]
}

/// All rows of a list that comes in pages. `page` is called with the number of the page, counted from
/// 1, and the number of rows that were read before; it gives the rows and how many there are in all.
pub(super) fn pages<T, F>(page: impl Fn(u32, u64) -> F) -> impl Stream<Item = Result<T, Error>>
where
    F: Future<Output = Result<(Vec<T>, u64), Error>>,
{
    stream::try_unfold(Some((1, 0)), move |next| {
        let asked = next.map(|(number, read)| (number, read, page(number, read)));
        async move {
            let Some((number, read, page)) = asked else { return Ok(None) };
            let (rows, total) = page.await?;
            let read = read + rows.len() as u64;
            let is_last = rows.is_empty() || read >= total || number >= PAGES_MAX;
            let next = (!is_last).then_some((number + 1, read));
            Ok(Some((stream::iter(rows.into_iter().map(Ok)), next)))
        }
    })
    .try_flatten()
}
