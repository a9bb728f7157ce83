-- Reference data of every new tenant: the stages a lead goes through. Never leads, contacts or messages.

insert into lead_stages (code, name_pt, name_en, position) values
    ('new', 'Novo', 'New', 1),
    ('contacted', 'Contatado', 'Contacted', 2),
    ('qualified', 'Qualificado', 'Qualified', 3),
    ('proposal', 'Proposta', 'Proposal', 4),
    ('won', 'Ganho', 'Won', 5),
    ('lost', 'Perdido', 'Lost', 6)
on conflict on constraint lead_stages_pkey do nothing;
