variable "name" {
  description = "Short name of the host: its host name, and the name of its files."
  type        = string
  nullable    = false
}

variable "user" {
  description = "User who may log in to the new machine."
  type        = string
  nullable    = false
}

variable "public_key" {
  description = "Public SSH key of that user."
  type        = string
  nullable    = false
}

variable "network_config" {
  description = "Network settings of the first boot (netplan's form); none: the cloud's own."
  type        = string
  default     = null
}
