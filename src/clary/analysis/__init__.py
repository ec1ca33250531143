"""What is computed about data and models: profiles, drift, quality, bias, attribution."""
