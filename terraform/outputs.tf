output "ai_hosts" {
  description = "Of each host: where it is reached, how to log in, and where the API key is."
  value = {
    for name, host in local.hosts : name => {
      url      = module.deployment[name].url
      address  = local.machines[name].machine.address
      user     = local.machines[name].machine.user
      host_key = local.machines[name].machine.host_key
      ssh      = module.deployment[name].ssh
      key      = module.deployment[name].key
    }
  }
}
