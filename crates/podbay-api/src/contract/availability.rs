//! `/availability`.

use super::words::Words;
use super::{Operation, get, list, number, one_of, text};
use crate::NumberedPage;
use crate::availability::{DiskAvailability, GpuAvailability, OfferMap, PriceSummary};
use crate::paths::{
    AVAILABILITY, AVAILABILITY_CLUSTERS, AVAILABILITY_DISKS, AVAILABILITY_GPU_SUMMARY, AVAILABILITY_GPUS,
    AVAILABILITY_MULTI_NODE, AVAILABILITY_MULTI_NODE_SUMMARY, SKYPILOT_CATALOG,
};
use podbay_core::limits::{PAGE_SIZE_LEGACY_MAX, PAGE_SIZE_MAX};
use podbay_core::published::{GpuType, Region, Security, Socket};
use serde_json::{Value, json};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        filtered(get(AVAILABILITY, "listOffersByType", "Offers by GPU type"), PAGE_SIZE_LEGACY_MAX)
            .about("The older form of the list.")
            .gives::<OfferMap>(),
        filtered(get(AVAILABILITY_GPUS, "listOffers", "Offers of one machine"), PAGE_SIZE_MAX)
            .about("With live stock. Ordering one means to send its `cloudId`, type, socket and count back.")
            .gives::<NumberedPage<GpuAvailability>>(),
        filtered(
            get(AVAILABILITY_MULTI_NODE, "listClusterOffers", "Offers of several machines"),
            PAGE_SIZE_MAX,
        )
        .about("There are none here: always an empty page.")
        .gives::<NumberedPage<GpuAvailability>>(),
        get(AVAILABILITY_GPU_SUMMARY, "getPriceSummary", "Prices by GPU type, count and region")
            .gives::<PriceSummary>(),
        get(AVAILABILITY_DISKS, "listDiskOffers", "Offers of persistent disks")
            .about("With what fits now. Prices are per GB and hour.")
            .asks("regions", "Any of these regions.", &list(&one_of(&Region::words())))
            .asks("data_center_id", "Data centre.", &text())
            .asks("cloud_id", "One offer.", &text())
            .asks("page", "Which page, counted from 1.", &number(1, 1))
            .asks("page_size", "Rows of a page.", &page_size(PAGE_SIZE_MAX))
            .gives::<NumberedPage<DiskAvailability>>(),
        filtered(
            get(AVAILABILITY_CLUSTERS, "listClusterOffersByType", "Offers of several machines by GPU type"),
            PAGE_SIZE_LEGACY_MAX,
        )
        .about("There are none here: always empty.")
        .gives::<OfferMap>(),
        get(
            AVAILABILITY_MULTI_NODE_SUMMARY,
            "getClusterPriceSummary",
            "Prices of offers of several machines",
        )
        .about("There are none here: always empty.")
        .gives::<PriceSummary>(),
        get(SKYPILOT_CATALOG, "getSkyPilotCatalog", "The offers as SkyPilot's catalog")
            .outside()
            .gives_other("text/csv")
            .ours(),
    ]
}

fn page_size(most: u32) -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": most, "default": most })
}

fn filtered(operation: Operation, page_size_max: u32) -> Operation {
    operation
        .asks("regions", "Any of these regions.", &list(&one_of(&Region::words())))
        .asks("gpu_count", "GPUs of the offer.", &json!({ "type": "integer", "minimum": 1 }))
        .asks("gpu_type", "GPU model.", &one_of(&GpuType::words()))
        .asks("socket", "Socket of the GPUs.", &one_of(&Socket::words()))
        .asks("security", "Security class.", &one_of(&Security::words()))
        .asks("data_center_id", "Data centre.", &text())
        .asks("cloud_id", "One offer.", &text())
        .asks("disks", "Only where these disks are.", &list(&text()))
        .asks("page", "Which page, counted from 1.", &number(1, 1))
        .asks("page_size", "Rows of a page.", &page_size(page_size_max))
}
