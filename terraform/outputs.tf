output "ai_hosts" {
  description = "Of each host: its URL, address and user, the key it shows, the command that logs in, and the file on it with the API keys."
  value = {
    for name, host in local.ready : name => {
      url      = module.deployment[name].url
      address  = local.machines[name].machine.address
      user     = local.machines[name].machine.user
      host_key = local.machines[name].machine.host_key
      ssh      = module.deployment[name].ssh
      key      = module.deployment[name].key
    }
  }

  precondition {
    condition     = length(local.off) == 0
    error_message = "${join("; ", local.off)}: this kind is not switched on here, so that its provider need not be downloaded by others. Switch it on: ln -s kinds/KIND/*.tf . && terraform init (KIND is that value; or cp where there are no links)."
  }
}
