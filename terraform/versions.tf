terraform {
  # 1.11: ephemeral variables, and validations that ask for other variables.
  required_version = ">= 1.11"
}
