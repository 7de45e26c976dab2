//! Updates: modify, add, delete and rename, one at a time, each awaited to its answer.

use portolan_ldap::{
    AddRequest, Control, DelRequest, Event, ModifyDnRequest, ModifyRequest, Update,
};

use super::{LdapConnection, LdapError};

impl LdapConnection {
    /// Changes the attributes of an object: all of the changes or none.
    ///
    /// # Errors
    /// [`LdapError::Refused`] when the directory did not do it, the connection then being as good as
    /// before. After any other error nobody knows whether it was done: read the object again.
    pub async fn modify(
        &mut self,
        request: ModifyRequest,
        controls: Vec<Control>,
    ) -> Result<(), LdapError> {
        let doing = format!("the change of {:?}", request.object);
        self.update(Update::Modify(request), controls, doing).await
    }

    /// Makes an object.
    ///
    /// # Errors
    /// As of [`Self::modify`].
    pub async fn add(
        &mut self,
        request: AddRequest,
        controls: Vec<Control>,
    ) -> Result<(), LdapError> {
        let doing = format!("the making of {:?}", request.entry);
        self.update(Update::Add(request), controls, doing).await
    }

    /// Deletes an object that has none below it.
    ///
    /// # Errors
    /// As of [`Self::modify`].
    pub async fn delete(
        &mut self,
        request: DelRequest,
        controls: Vec<Control>,
    ) -> Result<(), LdapError> {
        let doing = format!("the deletion of {:?}", request.entry);
        self.update(Update::Delete(request), controls, doing).await
    }

    /// Renames an object, moves it, or both.
    ///
    /// # Errors
    /// As of [`Self::modify`].
    pub async fn modify_dn(
        &mut self,
        request: ModifyDnRequest,
        controls: Vec<Control>,
    ) -> Result<(), LdapError> {
        let doing = format!("the renaming of {:?}", request.entry);
        self.update(Update::ModifyDn(request), controls, doing).await
    }

    async fn update(
        &mut self,
        update: Update,
        controls: Vec<Control>,
        operation: String,
    ) -> Result<(), LdapError> {
        self.give_up_unread().await?;
        let sent = self.session.update(update, controls);
        let (id, octets) = sent.map_err(|error| self.session_error(error))?;
        self.send(&octets).await?;
        match self.event().await? {
            // A caller that left before an answer leaves a connection that answers out of turn.
            Event::Updated { id: answered, result, .. } if answered == id => {
                let link = || self.link.clone();
                result.success().map(drop).map_err(|refusal| LdapError::Refused {
                    link: link(),
                    operation,
                    refusal: Box::new(refusal),
                })
            }
            _ => Err(LdapError::OutOfTurn { link: self.link.clone() }),
        }
    }
}
