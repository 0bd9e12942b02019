//! `/templates` and `/template`.

use super::{Operation, delete, get, patch, post};
use crate::OffsetPage;
use crate::paths::{CHECK_IMAGE, REGISTRY_CREDENTIALS, REGISTRY_CREDENTIALS_ONE, TEMPLATE, TEMPLATES};
use crate::templates::{
    AddRegistryCredentials, ChangeTemplate, CheckImage, CreateTemplate, ImageChecked, RegistryCredentials,
    RegistryCredentialsList, Template,
};
use serde_json::json;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get(TEMPLATES, "listTemplates", "Templates: images of the account's own")
            .about("Newest first.")
            .asks_for_part()
            .gives::<OffsetPage<Template>>()
            .ours(),
        post(TEMPLATES, "createTemplate", "Make a template")
            .about("An order names it as `customTemplateId`. Later changes do not reach pods that were ordered before.")
            .takes::<CreateTemplate>(json!({ "name": "nginx", "image": "docker.io/library/nginx:latest" }))
            .gives::<Template>()
            .ours(),
        get(TEMPLATE, "getTemplate", "One template").gives::<Template>().ours(),
        patch(TEMPLATE, "updateTemplate", "Change a template")
            .about("What is not named stays as it is; a null clears what may be null.")
            .takes::<ChangeTemplate>(json!({ "name": "web" }))
            .gives::<Template>()
            .ours(),
        delete(TEMPLATE, "deleteTemplate", "Delete a template").ours(),
        post(CHECK_IMAGE, "checkDockerImage", "Ask the registry whether it has an image")
            .about("An image that it has not is answered, too: `valid` is false, and `detail` says why.")
            .takes::<CheckImage>(json!({ "image": "docker.io/library/nginx:latest" }))
            .refuses(503, "Too many are asking registries just now.")
            .gives::<ImageChecked>(),
        get(REGISTRY_CREDENTIALS, "listRegistryCredentials", "Credentials of registries, without their passwords")
            .gives::<RegistryCredentialsList>(),
        post(REGISTRY_CREDENTIALS, "addRegistryCredentials", "Add credentials of a registry")
            .about("The password is kept encrypted, and no call answers it.")
            .takes::<AddRegistryCredentials>(json!({
                "name": "lab", "server": "registry.example", "username": "me", "password": "secret",
            }))
            .gives::<RegistryCredentials>()
            .ours(),
        delete(REGISTRY_CREDENTIALS_ONE, "deleteRegistryCredentials", "Delete credentials of a registry").ours(),
    ]
}
