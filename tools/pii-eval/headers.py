"""Names of columns: clear ones by kind, ones that mislead, and ones that say nothing.

Written from what schemas in the wild call such columns. Two lists a kind, so that what weights are fitted to and
what is measured at the end are not headed alike.
"""

# kind: (fitted to, measured with)
CLEAR = {
    "email": ("email Email email_address contact_email EMAIL_ADDR user_email e_mail courriel correo_electronico E-Mail-Adresse".split(),
              "Email customerEmail email_1 workEmail EMAILADDRESS mail primary_email e-mail adresse_email sahkoposti login_email cust_email_addr".split()),
    "phone": ("phone phone_number Telephone mobile tel contact_phone Telefonnummer telefono PHONE_NO cell_phone".split(),
              "phoneNumber Phone mobile_no home_phone TEL1 fax cellphone telefone Rufnummer workphone cust_phone contact_number telefoon".split()),
    "person_name": ("first_name last_name full_name name surname customer_name FIRSTNAME Vorname Nachname nom prenom apellidos employee_name".split(),
                    "firstName lname FullName contact_name patient_name GivenName family_name LAST_NM cognome imie nazwisko achternaam author_name sukunimi card_holder Name".split()),
    "credit_card": ("credit_card card_number cc_number CreditCardNumber Kreditkarte numero_tarjeta".split(),
                    "ccNum card_no creditcard payment_card_number CARD_NBR cc_no carta_di_credito debit_card".split()),
    "iban": ("iban IBAN bank_iban account_iban".split(), "customer_iban IBAN_NO payeeIban bank_account_iban Bankverbindung".split()),
    "us_ssn": ("ssn SSN social_security_number cust_ssn".split(), "SSN_NO socialSecurityNumber emp_ssn soc_sec_no patient_ssn".split()),
    "national_id": ("national_id id_number identity_number NationalID personal_code citizen_id".split(),
                    "nationalId national_identity_no personal_id_number ID_CARD_NO government_id documento_identidad".split()),
    "tax_id": ("tax_id tax_number TIN taxpayer_id tax_id_number".split(), "taxId TAX_NO tax_identification_number taxpayer_no fiscal_number".split()),
    "health_id": ("health_number health_card_no health_id".split(), "healthCardNumber HEALTH_NO health_insurance_number".split()),
    "medical_provider_id": ("npi dea_number provider_npi".split(), "NPI_NUMBER prescriber_dea npiNo prescriber_npi".split()),
    "passport": ("passport passport_no PassportNumber Reisepass numero_pasaporte".split(), "passport_number PASSPORT_ID passportNo passeport travel_document_no".split()),
    "driver_license": ("drivers_license driver_license_number DL_NO driving_licence".split(), "driverLicense DRIVERS_LICENSE_NO dl_number licence_driver_license permis_conduire Fuehrerschein".split()),
    "bank_account": ("bank_account account_number acct_no Kontonummer".split(), "bankAccountNumber ACCT_NUM account_no beneficiary_account numero_cuenta".split()),
    "bank_routing": ("routing_number aba_routing routing_no".split(), "routingNumber ABA_NUMBER bank_routing aba".split()),
    "crypto_wallet": ("wallet_address btc_address wallet".split(), "walletAddress ETH_ADDRESS crypto_wallet bitcoin_address payout_wallet".split()),
    "secret": ("api_key password access_token secret_key".split(), "apiKey PASSWORD auth_token client_secret private_key user_password token".split()),
    "ip_address": ("ip ip_address client_ip source_ip".split(), "ipAddress IP_ADDR remote_addr last_login_ip src_ip ipv4".split()),
    "mac_address": ("mac mac_address device_mac".split(), "macAddress MAC_ADDR wifi_mac hw_address bssid".split()),
    "url": ("url website homepage link".split(), "profileUrl WEB_SITE image_url href referrer blog_link".split()),
    "imei": ("imei device_imei".split(), "IMEI_NO imeiNumber handset_imei".split()),
    "vin": ("vin vehicle_vin".split(), "VIN_NUMBER vehicleIdentificationNumber chassis_number car_vin".split()),
    "date_of_birth": ("dob birth_date date_of_birth Geburtsdatum fecha_nacimiento BIRTHDAY".split(), "birthDate DOB dateOfBirth BIRTH_DT born_on date_naissance data_nascita geboortedatum patient_dob".split()),
    "postal_address": ("address street street_address Adresse direccion ADDR1".split(), "streetAddress ADDRESS_LINE_1 home_address billingAddress shipping_addr indirizzo ulica Anschrift mailing_address".split()),
    "postal_code": ("zip postal_code postcode PLZ code_postal".split(), "zipCode POSTCODE postalCode ZIP5 billing_zip cep codigo_postal postnummer".split()),
    "city": ("city town City ciudad Stadt".split(), "cityName CITY billing_city ville home_town Ort citta miasto".split()),
    "coordinates": ("latitude longitude home_lat gps".split(), "lat lon lng userLatitude coords LONGITUDE geo_lat".split()),
}

# A property of the thing, not the thing.
NEAR = (
    "email_verified email_count email_domain email_opt_in phone_type phone_model phone_verified card_type card_brand card_expiry name_length username_changed "
    "first_name_initial_count ip_country ip_version ip_count address_type address_count birth_year birth_month postal_zone city_population city_code credit_card_limit credit_score "
    "iban_valid passport_expiry passport_country license_type license_class account_type account_status bank_name tax_rate tax_amount health_score national_holiday url_count "
    "url_hash mac_os_version imei_status vin_year token_count password_strength password_changed_at secret_santa wallet_balance routing_status latency longevity social_score created_by_ip_count "
    "is_email_valid has_phone num_addresses last_name_updated person_count customer_segment contact_type contact_method phone_brand address_score"
).split()

HARMLESS = (
    "status type category quantity price total amount description notes created_at updated_at order_id product_id sku version color size weight height width score rating rank level "
    "count flag active enabled currency language department title brand model serial_no batch_no invoice_no tracking_number region segment channel source reason comment priority stage "
    "duration start_date end_date due_date year month week temperature pressure speed distance revenue cost discount margin balance interest term rate index key value label group team"
).split()


def opaque(rng):
    """A name that says nothing."""
    number = rng.randint(1, 60)
    return rng.choice(["c%d", "col_%d", "f_%02d", "V%d", "field%d", "x%d", "attr_%02d", "column%d", "Q%d", "_c%d", "data_%d"]) % number
