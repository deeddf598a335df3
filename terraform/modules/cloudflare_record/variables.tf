variable "name" {
  description = "Short name of the host, noted at the record."
  type        = string
  nullable    = false
}

variable "domain" {
  description = "Full name that is to point to the machine."
  type        = string
  nullable    = false
}

variable "zone_id" {
  description = "Id of the zone that it is in."
  type        = string
  nullable    = false
}

variable "records" {
  description = "Records by a name of their own: type (A or AAAA) and address."
  type = map(object({
    type    = string
    address = string
  }))
  nullable = false
}

variable "adopted" {
  description = "Ids of existing records that are taken over; others are never overwritten."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "ttl_s" {
  description = "Seconds that resolvers may keep the record."
  type        = number
  default     = 300
  nullable    = false
}
